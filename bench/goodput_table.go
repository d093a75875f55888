package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
)

// table writes what a person reads, and docs/goodput.md shows: a row for each path, a column for each congestion control.
func (d *goodputDocument) table(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%v. Load of the machine %.1f to %.1f; the relay was late with at most %.1f %% of a run's packets.\n",
		d.Machine, lowest(d.Load), highest(d.Load), d.latest())
	d.aloneTable(out)
	d.sharedTable(out)
	return out.Flush()
}

func (d *goodputDocument) aloneTable(out io.Writer) {
	s := d.settings
	if len(s.paths) == 0 {
		return
	}
	fmt.Fprintf(out, "\nMbit/s of goodput, Starfish beside Linux, medians of %d alternating runs of %v s; × is the median of the ratios within each run.\n\n", d.Runs, d.Seconds)
	header, rule := "| Rate, RTT, queue, path |", "|---|"
	for _, cc := range s.congestion {
		header, rule = header+" "+cc+" |", rule+"---|"
	}
	fmt.Fprintf(out, "%s\n%s\n", header, rule)
	for i := range s.paths {
		name := s.paths[i].String()
		line := "| " + name + " |"
		for _, cc := range s.congestion {
			ours, theirs := d.find(name, cc, starfish.title), d.find(name, cc, linux.title)
			line += fmt.Sprintf(" %s beside %s, ×%.2f |", rate(ours.Median), rate(theirs.Median), ours.Ratio)
		}
		fmt.Fprintln(out, line)
	}
}

func (d *goodputDocument) sharedTable(out io.Writer) {
	if len(d.Shared) == 0 {
		return
	}
	fmt.Fprintf(out, "\nTwo flows over %s, one a second after the other, for %v s; medians of %d runs.\n\n", d.SharedPath, d.SharedSeconds, d.Runs)
	fmt.Fprintln(out, "| Flows | % of the rate | first's part of both | Jain |\n|---|---|---|---|")
	for _, r := range d.Shared {
		var part []float64
		for i := range r.First {
			part = append(part, percent(r.First[i], r.First[i]+r.Second[i]))
		}
		fmt.Fprintf(out, "| %s | %.0f, %.0f | %.0f %% | %.3f |\n", r.Flows, median(r.First), median(r.Second), median(part), median(r.Jain))
	}
}

// rate is a number of three digits or so.
func rate(mbits float64) string {
	switch {
	case mbits >= 100:
		return fmt.Sprintf("%.0f", mbits)
	case mbits >= 10:
		return fmt.Sprintf("%.1f", mbits)
	}
	return fmt.Sprintf("%.2f", mbits)
}

// latest is the largest part of packets that the relay was late with in a run.
func (d *goodputDocument) latest() float64 {
	var all []float64
	for _, r := range d.Alone {
		all = append(all, r.Late...)
	}
	for _, r := range d.Shared {
		all = append(all, r.Late...)
	}
	return highest(all)
}

func lowest(values []float64) float64 {
	return slices.Min(append([]float64{highest(values)}, values...))
}
func highest(values []float64) float64 { return slices.Max(append([]float64{0}, values...)) }
