package main

import (
	"encoding/json"
	"os"
	"slices"
)

// result is one figure in all runs. The ratio is to the kernel's figure: the median over runs of the ratio within each,
// so that what disturbs a whole run disturbs the ratio least. It is 0 where there is nothing to compare with.
type result struct {
	Work        string    `json:"work"`
	Connections int       `json:"connections"`
	Way         string    `json:"way"`
	Metric      string    `json:"metric"`
	Unit        string    `json:"unit"`
	MoreBetter  bool      `json:"moreIsBetter"`
	Runs        []float64 `json:"runs"`
	Median      float64   `json:"median"`
	Ratio       float64   `json:"ratio,omitempty"`
}

// document is what bench.json holds.
type document struct {
	Machine machine  `json:"machine"`
	MTU     int      `json:"mtu"`
	Kernel  string   `json:"kernelCongestionControl"`
	Runs    int      `json:"runs"`
	Seconds float64  `json:"seconds"`
	Results []result `json:"results"`
}

func (d *document) find(work string, connections int, way, metric string) *result {
	for i := range d.Results {
		r := &d.Results[i]
		if r.Work == work && r.Connections == connections && r.Way == way && r.Metric == metric {
			return r
		}
	}
	return nil
}

// add takes the figures of one load in one run.
func (d *document) add(l *load, way string, figures map[string]float64) {
	for _, m := range metrics {
		value, ok := figures[m.name]
		if !ok {
			continue
		}
		r := d.find(l.Work, l.Connections, way, m.name)
		if r == nil {
			d.Results = append(d.Results, result{
				Work: l.Work, Connections: l.Connections, Way: way, Metric: m.name, Unit: m.unit, MoreBetter: m.more,
			})
			r = &d.Results[len(d.Results)-1]
		}
		r.Runs = append(r.Runs, value)
	}
}

// evaluate fills in the medians and ratios.
func (d *document) evaluate() {
	for i := range d.Results {
		r := &d.Results[i]
		r.Median = median(r.Runs)
		if base := d.find(r.Work, r.Connections, wayKernel, r.Metric); base != nil {
			r.Ratio = pairedRatio(r.Runs, base.Runs)
		}
	}
}

func (d *document) write(path string) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// median returns the middle of values, of which there must be some.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// pairedRatio returns the median of a[i]/b[i], 0 when there is none.
func pairedRatio(a, b []float64) float64 {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	if len(ratios) == 0 {
		return 0
	}
	return median(ratios)
}
