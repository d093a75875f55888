package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, src := range map[string]string{
		"good.pkt": "0 < S 5:5(0) win 100\n+0 > R. 0:0(0) ack 6\n",
		"bad.pkt":  "0 < S 5:5(0) win 100\n+0 > R. 0:0(0) ack 7\n",
		"not.txt":  "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	failed, err := run([]string{"-D", "X=1", "--set", "starfish.quick_ack=1", "--tolerance_usecs=100", dir}, &out)
	if err != nil || failed != 1 {
		t.Fatalf("%d, %v", failed, err)
	}
	for _, want := range []string{"bad.pkt: line 2: wrong packet: acknowledgment number", "2 scripts: 1 passed, 1 wrong packet"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\nwithout %q", &out, want)
		}
	}
}

func TestRunErrors(t *testing.T) {
	for _, args := range [][]string{{}, {"/does/not/exist"}, {"--set", "x", "."}} {
		if _, err := run(args, &strings.Builder{}); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
