// Command pkt runs packetdrill scripts against Starfish's engine:
//
//	go run ./core/tcp/packetdrill/cmd/pkt [flags] DIR|FILE…
//
// It prints the scripts that fail, each with the first thing that went wrong, and how many failed by cause.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/MUCZ/Starfish/core/tcp/packetdrill"
)

func main() {
	failed, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pkt:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// run carries out the command line and returns the number of scripts that failed.
func run(args []string, out io.Writer) (failed int, err error) {
	flags := flag.NewFlagSet("pkt", flag.ContinueOnError)
	opt := packetdrill.Options{Defines: map[string]string{}}
	for _, name := range []string{"ip_version", "local_ip", "remote_ip", "gateway_ip", "netmask_ip", "mtu", "mss", "tcp_ts_tick_usecs", "dialect"} {
		flags.Func(name, "as the line --"+name+"=`VALUE` at the head of each script; the script's own goes before it", func(value string) error {
			opt.Lines = append(opt.Lines, packetdrill.Setting{Name: name, Value: value})
			return nil
		})
	}
	flags.BoolVar(&opt.IgnoreOptionOrder, "ignore_option_order", false, "compare TCP options without their order and padding")
	tolerance := flags.Int64("tolerance_usecs", 4000, "how far times may be off, in `microseconds`; scripts may say otherwise")
	flags.BoolVar(&opt.IgnoreDefaults, "ignore_defaults", false, "pass over commands that run a script named defaults")
	flags.BoolVar(&opt.IgnorePush, "ignore_push", false, "don't compare the PSH flag of what the engine sends")
	flags.BoolVar(&opt.Strict, "strict", false, "packets that leave and are not in the script are failures")
	quiet := flags.Bool("quiet", false, "print the summary only")
	flags.Func("D", "define a name for scripts: `NAME=value`; may be repeated", func(text string) error {
		name, value, _ := strings.Cut(text, "=")
		opt.Defines[name] = value
		return nil
	})
	flags.Func("set", "apply a setting before each script's own: `NAME=value`, as to sysctl; may be repeated", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return errors.New("want NAME=value")
		}
		opt.Settings = append(opt.Settings, packetdrill.Setting{Name: name, Value: value})
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	opt.Tolerance = time.Duration(*tolerance) * time.Microsecond
	files, err := find(flags.Args())
	if err != nil {
		return 0, err
	}
	start := time.Now()
	summary := packetdrill.NewSummary()
	for i, err := range runAll(files, &opt) {
		summary.Add(err)
		if err != nil && !*quiet {
			fmt.Fprintf(out, "%s: %v\n", files[i], err)
		}
	}
	fmt.Fprintf(out, "%s%v\n", summary, time.Since(start).Round(time.Millisecond))
	return summary.Failed(), nil
}

// find lists the scripts that paths name: files as they are, and every *.pkt below folders.
func find(paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, errors.New("name a script or a folder of scripts")
	}
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		err = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && filepath.Ext(path) == ".pkt" {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// runAll runs scripts on all processors and returns their errors in order.
func runAll(files []string, opt *packetdrill.Options) []error {
	errs := make([]error, len(files))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				errs[i] = runFile(files[i], opt)
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	workers.Wait()
	return errs
}

func runFile(path string, opt *packetdrill.Options) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	own := *opt
	own.ReadFile = func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(filepath.Dir(path), name)) }
	return packetdrill.Run(string(src), &own)
}
