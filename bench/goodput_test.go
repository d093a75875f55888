package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/test/relay"
)

func TestGoodputFlags(t *testing.T) {
	s, err := parseGoodputFlags(strings.Fields("-congestion bbr -runs 2 -pairs beside -seconds 0.5"))
	if err != nil {
		t.Fatal(err)
	}
	if s.runs != 2 || len(s.paths) != len(paths) || len(s.pairs) != 3 || s.duration.Seconds() != 0.5 {
		t.Errorf("settings are %+v", s)
	}
	for _, c := range []struct{ args, want string }{
		{"-congestion vegas", `unknown congestion control "vegas"`},
		{"-runs 0", "-runs"},
		{"-seconds 0", "-seconds"},
		{"-shared-seconds -1", "-shared-seconds"},
		{"-rows nowhere -pairs nobody", "nothing to measure"},
		{"surplus", `unexpected argument "surplus"`},
	} {
		if _, err := parseGoodputFlags(strings.Fields(c.args)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.args, err, c.want)
		}
	}
}

// Results are found by the names of paths.
func TestPathsHaveNamesOfTheirOwn(t *testing.T) {
	seen := make(map[string]bool)
	for i := range paths {
		name := paths[i].String()
		if seen[name] {
			t.Errorf("two paths are %q", name)
		}
		seen[name] = true
		if there, back := paths[i].links(); there.Queue < leastQueue || back.Rate != there.Rate || back.Loss != 0 {
			t.Errorf("%s: there %+v, back %+v", name, there, back)
		}
	}
}

func TestGoodputTable(t *testing.T) {
	s := &goodputSettings{runs: 2, congestion: []string{"reno", "bbr"}, paths: paths[:1], pairs: []pair{{starfish, linux, "reno"}}}
	d := newGoodputDocument(s)
	for run := range 2 {
		for _, cc := range s.congestion {
			d.addAlone(0, cc, starfish, &observation{goodput: []float64{float64(4+run) * mbit}, sent: 200, again: 1})
			d.addAlone(0, cc, linux, &observation{goodput: []float64{8 * mbit}, relay: relay.Stats{Late: 1}})
		}
		d.addTogether(0, &observation{goodput: []float64{30 * mbit, 10 * mbit}})
	}
	d.evaluate()
	if r := d.find(paths[0].String(), "reno", "Starfish"); r.Median != 4.5 || r.Ratio != 4.5/8 || r.Retransmitted[0] != 0.5 {
		t.Errorf("the result is %+v", r)
	}
	var out bytes.Buffer
	if err := d.table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| 10 Mbit/s, 20ms, 1.0 BDP, clean | 4.50 beside 8.00, ×0.56 | 4.50 beside 8.00, ×0.56 |\n",
		"| Starfish reno beside Linux reno | 60, 20 | 75 % | 0.800 |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// One path and one pair, for a moment each: the senders send, the sink counts, the figures have their shape.
func TestGoodputRun(t *testing.T) {
	needDevices(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "goodput.json")
	cmd := exec.Command("/proc/self/exe", runMain, "goodput", "-rows", "100 Mbit/s, 20ms, 1.0 BDP, 0.1 % lost", "-pairs", "Starfish cubic beside Linux",
		"-congestion", "cubic", "-runs", "1", "-seconds", "0.5", "-shared-seconds", "0.5", "-o", path, "-samples", filepath.Join(dir, "samples"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d goodputDocument
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Alone) != 2 || len(d.Shared) != 1 {
		t.Fatalf("%d and %d results", len(d.Alone), len(d.Shared))
	}
	for _, r := range d.Alone {
		if len(r.Runs) != 1 || r.Median <= 0 || r.Median > 100 {
			t.Errorf("%+v", r)
		}
	}
	if r := d.Shared[0]; r.First[0] <= 0 || r.Second[0] <= 0 || r.Jain[0] <= 0 {
		t.Errorf("%+v", r)
	}
	samples, err := filepath.Glob(filepath.Join(dir, "samples", "*.csv"))
	if err != nil || len(samples) != 4 {
		t.Errorf("samples %q, %v", samples, err)
	}
	t.Logf("%s", out)
}
