package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Widths of the table's columns.
const (
	nameWidth   = 24
	figureWidth = 18
)

var workTitles = map[string]string{
	workSend: "send", workReceive: "receive", workPingPong: "ping-pong", workConnect: "connect",
}

var wayTitles = map[string]string{
	wayKernel: "kernel, veth", wayInProcess: "in process", wayDataSocket: "data socket", wayStream: "gRPC stream",
}

// table writes what a person reads: a part for each metric, a row for each load, a column for each way.
func (d *document) table(w io.Writer, ways []string) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "Starfish beside the kernel's TCP: MTU %d, the kernel with %s, medians of %d alternating runs of %v s, × is the ratio to the kernel\n",
		d.MTU, d.Kernel, d.Runs, d.Seconds)
	fmt.Fprintln(out, d.Machine)
	fmt.Fprintf(out, "\n%-*s", nameWidth, "")
	for _, way := range ways {
		fmt.Fprintf(out, "%*s", figureWidth, wayTitles[way])
	}
	fmt.Fprintln(out)
	for _, m := range metrics {
		d.part(out, &m, ways)
	}
	return out.Flush()
}

func (d *document) part(out io.Writer, m *metric, ways []string) {
	titled := false
	for i := range d.Results {
		r := &d.Results[i]
		if r.Metric != m.name || r.Way != ways[0] {
			continue
		}
		if !titled {
			fmt.Fprintln(out, m.title)
			titled = true
		}
		line := fmt.Sprintf("%-*s", nameWidth, rowTitle(r))
		for _, way := range ways {
			line += fmt.Sprintf("%*s", figureWidth, cell(d.find(r.Work, r.Connections, way, r.Metric), m))
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
}

func rowTitle(r *result) string {
	title := fmt.Sprintf("  %s, %d", workTitles[r.Work], r.Connections)
	if r.Connections == 1 {
		return title + " connection"
	}
	return title + " connections"
}

// noRatio takes the place of a ratio.
const noRatio = "      "

func cell(r *result, m *metric) string {
	if r == nil {
		return "–" + noRatio
	}
	figure := fmt.Sprintf("%.*f", m.digits, r.Median)
	if r.Way == wayKernel || r.Ratio == 0 || m.name == metricSpread {
		return figure + noRatio
	}
	return fmt.Sprintf("%s ×%-4.2f", figure, r.Ratio)
}
