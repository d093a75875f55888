package ctl

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

func TestBench(t *testing.T) {
	status, stdout, stderr := execute(t, "bench", "--bytes", "1M", "--runs", "1", "mss/", "super/inorder")
	want := regexp.MustCompile(`^case +Gbit/s +segments/s +allocs/segment
super/inorder +\d+\.\d +\d+ +\d+\.\d{3}
mss/inorder .*
mss/reversed .*
mss/lossy .*
$`)
	if status != exitOK || stderr != "" || !want.MatchString(stdout) {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	_, stdout, _ = execute(t, "bench", "--json", "--bytes", "1M", "lossy")
	var told struct {
		Case          string
		Bytes, Runs   int
		BitsPerSecond float64 `json:"bits_per_second"`
	}
	if err := json.Unmarshal([]byte(stdout), &told); err != nil || told.Case != "mss/lossy" || told.Bytes != 1<<20 || told.Runs != 5 ||
		told.BitsPerSecond <= 0 {
		t.Errorf("%v, stdout %q", err, stdout)
	}
	for args, want := range map[string]string{
		"none": "no case has a name with none", "--bytes 0": "--bytes takes 1 to 100G", "--runs 0": "--runs takes 1 to 1000",
	} {
		if status, _, stderr := execute(t, append([]string{"bench"}, strings.Fields(args)...)...); status != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, stderr %q", args, status, stderr)
		}
	}
}
