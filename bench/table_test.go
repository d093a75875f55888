package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := sample().table(&out, []string{wayKernel, wayInProcess}); err != nil {
		t.Fatal(err)
	}
	const want = `
                              kernel, veth        in process
throughput, Gbit/s
  send, 8 connections          15.00             22.50 ×1.50
processor time of all processes, s/GiB
  send, 8 connections          1.000             0.500 ×0.50
unfairness: (fastest − slowest) / mean of the connections, %
  send, 8 connections              5                 7
round trip of 1 byte, median, µs
  ping-pong, 1 connection        30.0                 –
round trip of 1 byte, 99th percentile, µs
  ping-pong, 1 connection        90.0                 –
`
	_, table, found := strings.Cut(out.String(), "\n\n")
	if !found {
		t.Fatalf("no head:\n%s", out.String())
	}
	if got := "\n" + table; got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}

func TestTableNamesItsConditions(t *testing.T) {
	var out strings.Builder
	if err := sample().table(&out, []string{wayKernel}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MTU 1500", "cubic", "2 alternating runs", "A CPU", "Linux 6.1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, out.String())
		}
	}
}
