package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{4, 1}, 2.5},
		{[]float64{9, 1, 5}, 5},
		{[]float64{1, 100, 2, 3}, 2.5},
	} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

// A run in which everything was three times slower leaves the ratio as it is.
func TestPairedRatio(t *testing.T) {
	kernel := []float64{10, 30, 10, 30, 30}
	starfish := []float64{20, 60, 20, 60, 60}
	if got := pairedRatio(starfish, kernel); got != 2 {
		t.Errorf("pairedRatio = %v, want 2", got)
	}
	if got := pairedRatio([]float64{1}, []float64{0}); got != 0 {
		t.Errorf("pairedRatio to nothing = %v, want 0", got)
	}
}

func TestBulkFigures(t *testing.T) {
	figures, err := bulkFigures([]float64{1 << 30, 3 << 30}, 2*time.Second, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{metricThroughput: 4 * float64(1<<30) * 8 / 1e9 / 2, metricCPU: 0.25, metricSpread: 100}
	for name, value := range want {
		if figures[name] != value {
			t.Errorf("%s = %v, want %v", name, figures[name], value)
		}
	}
	if _, err := bulkFigures([]float64{0}, time.Second, 0); err == nil {
		t.Error("no error though nothing moved")
	}
}

func TestQuantile(t *testing.T) {
	var took []time.Duration
	for i := range 100 {
		took = append(took, time.Duration(i+1))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := quantile(took, q); got != want {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
}

// sample is a document of two ways and two runs.
func sample() *document {
	d := &document{Machine: machine{CPU: "A CPU", Processors: 2, Kernel: "6.1", Go: "go1"}, MTU: 1500, Kernel: "cubic", Runs: 2, Seconds: 1}
	send, ping := &load{Work: workSend, Connections: 8}, &load{Work: workPingPong, Connections: 1}
	for run := range 2 {
		factor := float64(run + 1)
		d.add(send, wayKernel, map[string]float64{metricThroughput: 10 * factor, metricCPU: 1, metricSpread: 5})
		d.add(send, wayInProcess, map[string]float64{metricThroughput: 15 * factor, metricCPU: 0.5, metricSpread: 7})
		d.add(ping, wayKernel, map[string]float64{metricP50: 30, metricP99: 90})
	}
	d.evaluate()
	return d
}

func TestDocumentIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := sample().write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	r := d.find(workSend, 8, wayInProcess, metricThroughput)
	if r == nil || len(r.Runs) != 2 || r.Median != 22.5 || r.Ratio != 1.5 || r.Unit != "Gbit/s" || !r.MoreBetter {
		t.Errorf("read back %+v", r)
	}
}
