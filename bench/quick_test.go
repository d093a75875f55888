package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain lets the test's binary be the benchmark's processes too.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" || len(os.Args) > 1 && os.Args[1] == runMain {
		if os.Getenv(roleVariable) == "" {
			os.Args = append(os.Args[:1], os.Args[2:]...)
		}
		main()
		return
	}
	os.Exit(m.Run())
}

// runMain as the first argument has the test's binary be the program.
const runMain = "run-main"

func needDevices(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace with devices needs root (scripts/enter.sh gives it)")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("no /dev/net/tun: %v", err)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is not installed")
	}
}

// Every way does every kind of work, if only for a moment.
func TestQuickRun(t *testing.T) {
	needDevices(t)
	path := filepath.Join(t.TempDir(), "bench.json")
	cmd := exec.Command("/proc/self/exe", runMain, "-runs", "1", "-seconds", "0.2", "-connections", "2", "-o", path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, way := range wayNames {
		for _, want := range []struct {
			work, metric string
			connections  int
		}{
			{workSend, metricThroughput, 2},
			{workReceive, metricCPU, 2},
			{workPingPong, metricP99, 1},
			{workConnect, metricRate, 64},
		} {
			r := d.find(want.work, want.connections, way, want.metric)
			if r == nil || r.Median <= 0 || r.Ratio <= 0 {
				t.Errorf("%s, %s: %s is %+v", way, want.work, want.metric, r)
			}
		}
	}
	t.Logf("%s", out)
}
