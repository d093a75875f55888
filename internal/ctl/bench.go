package ctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/internal/enginebench"
)

// benchFlags are what bench was asked for.
type benchFlags struct {
	bytes amountValue
	runs  int
}

const (
	// maxBenchBytes and maxBenchRuns bound one bench.
	maxBenchBytes = 100 << 30
	maxBenchRuns  = 1000
)

func (a *app) benchCommand() *cobra.Command {
	flags := benchFlags{bytes: 100 << 20, runs: 5}
	names := make([]string, 0, len(enginebench.Cases))
	for _, c := range enginebench.Cases {
		names = append(names, c.Name)
	}
	cmd := &cobra.Command{
		Use:   "bench [CASE...]",
		Short: "Measure the TCP engine alone, in memory",
		Long: `Bench moves bytes from one TCP engine to another, in this process, on one thread
and without a daemon: in super-segments of 64 KiB, as a device with offload
takes them, and in segments of 1,460 bytes less options ("mss"); in order, each
batch of packets the last one first, and with one packet in 1,000 lost; with
checksums computed and verified. It shows the median of several runs.

The cases are ` + strings.Join(names, ", ") + `.
A part of a name chooses all that have it.`,
		Example: `  starfishctl bench
  starfishctl bench --bytes 1G inorder`,
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.bytes < 1 || flags.bytes > maxBenchBytes {
				return usagef("bench: --bytes takes 1 to 100G")
			}
			if flags.runs < 1 || flags.runs > maxBenchRuns {
				return usagef("bench: --runs takes 1 to %d", maxBenchRuns)
			}
			cases, err := benchCases(args)
			if err != nil {
				return err
			}
			return a.bench(cmd.Context(), flags, cases)
		},
	}
	cmd.Flags().VarP(&flags.bytes, "bytes", "n", "move so many bytes in each run")
	cmd.Flags().IntVar(&flags.runs, "runs", flags.runs, "`number` of runs")
	return cmd
}

// benchCases returns the cases that have one of the words in their names.
func benchCases(words []string) ([]enginebench.Case, error) {
	var cases []enginebench.Case
	for _, c := range enginebench.Cases {
		if len(words) == 0 || slices.ContainsFunc(words, func(word string) bool { return strings.Contains(c.Name, word) }) {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return nil, usagef("bench: no case has a name with %s", strings.Join(words, " or "))
	}
	return cases, nil
}

func (a *app) bench(ctx context.Context, flags benchFlags, cases []enginebench.Case) error {
	if !a.json {
		if err := a.print(fmt.Sprintf("%-22s %8s %12s %15s\n", "case", "Gbit/s", "segments/s", "allocs/segment")); err != nil {
			return err
		}
	}
	for _, c := range cases {
		median, err := benchCase(ctx, flags, c)
		if err != nil {
			return err
		}
		if a.json {
			err = a.printJSON(map[string]any{
				"case": c.Name, "bytes": median.Bytes, "runs": flags.runs, "bits_per_second": median.BitsPerSecond(),
				"segments_per_second": median.SegmentsPerSecond(), "allocations_per_segment": median.AllocationsPerSegment(),
			})
		} else {
			err = a.print(fmt.Sprintf("%-22s %8.1f %12.0f %15.3f\n", c.Name, median.BitsPerSecond()/1e9, median.SegmentsPerSecond(),
				median.AllocationsPerSegment()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// benchCase returns the median of the runs, after one that warms up.
func benchCase(ctx context.Context, flags benchFlags, c enginebench.Case) (enginebench.Result, error) {
	var results []enginebench.Result
	pair, err := enginebench.New(c)
	if err == nil {
		err = pair.Transfer(int(min(flags.bytes, 100<<20)))
	}
	for range flags.runs {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return enginebench.Result{}, err
		}
		var r enginebench.Result
		r, err = pair.Measure(int(flags.bytes))
		results = append(results, r)
	}
	slices.SortFunc(results, func(x, y enginebench.Result) int { return cmp.Compare(x.Took, y.Took) })
	return results[len(results)/2], err
}
