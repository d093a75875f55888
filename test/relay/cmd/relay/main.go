// Relay joins two TUN devices by a bad network, until it is interrupted, and then prints what it has done. A device may
// be in another network namespace.
//
//	relay -a left -b right -b-netns /run/netns/other -loss 0.01 -delay 20ms -rate 100000000 -queue 250000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/sim"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
	"github.com/MUCZ/Starfish/test/relay"
)

// end is one side of the relay as the command line names it.
type end struct{ device, netns string }

type options struct {
	a, b   end
	link   sim.Link
	oneWay bool
	seed   uint64
	mtu    int
}

func main() {
	if err := run(parse()); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func parse() *options {
	var o options
	flag.StringVar(&o.a.device, "a", "relay-a", "first `device`")
	flag.StringVar(&o.b.device, "b", "relay-b", "second `device`")
	flag.StringVar(&o.a.netns, "a-netns", "", "network namespace of the first device, as a `file`")
	flag.StringVar(&o.b.netns, "b-netns", "", "network namespace of the second device, as a `file`")
	flag.IntVar(&o.mtu, "mtu", 1500, "MTU of both devices in `bytes`")
	flag.Uint64Var(&o.seed, "seed", 1, "the `number` that decides")
	flag.BoolVar(&o.oneWay, "one-way", false, "leave packets from the second to the first device alone")
	flag.DurationVar(&o.link.Delay, "delay", 0, "`time` that each packet takes")
	flag.DurationVar(&o.link.Jitter, "jitter", 0, "up to this `time` more, drawn for each packet")
	flag.Float64Var(&o.link.Loss, "loss", 0, "`chance` of a packet to get lost, 0 to 1")
	flag.Float64Var(&o.link.Duplicate, "duplicate", 0, "`chance` of a packet to arrive twice")
	flag.Float64Var(&o.link.Reorder, "reorder", 0, "`chance` of a packet to be held back")
	flag.DurationVar(&o.link.ReorderDelay, "reorder-delay", 0, "by up to this `time`")
	flag.Float64Var(&o.link.Corrupt, "corrupt", 0, "`chance` of a packet to be damaged")
	flag.Int64Var(&o.link.Rate, "rate", 0, "`bits` per second; 0: no limit")
	flag.IntVar(&o.link.Queue, "queue", 0, "`bytes` that wait for the rate; 0: no limit")
	flag.Parse()
	return &o
}

func run(o *options) error {
	pool := zbuf.NewPool(0)
	a, err := o.open(&o.a, pool)
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }() // the process ends
	b, err := o.open(&o.b, pool)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	cfg := relay.Config{AtoB: o.link, BtoA: o.link, Seed: o.seed}
	if o.oneWay {
		cfg.BtoA = sim.Link{}
	}
	r, err := relay.New(a, b, cfg)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := r.Run(ctx); err != nil {
		return err
	}
	there, back := r.Stats()
	fmt.Printf("%s to %s: %+v\n%s to %s: %+v\n", a.Name(), b.Name(), there, b.Name(), a.Name(), back)
	return nil
}

// open opens a device, on a thread of its own that enters the device's namespace and ends with it.
func (o *options) open(e *end, pool *zbuf.Pool) (tun.Device, error) {
	var device tun.Device
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := enter(e.netns)
		if err == nil {
			device, err = tun.Open(tun.Config{Name: e.device, Offload: tun.Off, MTU: o.mtu, Up: true, Pool: pool})
		}
		done <- err
	}()
	err := <-done
	return device, err
}

func enter(netns string) error {
	if netns == "" {
		return nil
	}
	f, err := os.Open(netns)
	if err != nil {
		return err
	}
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return errors.Join(fmt.Errorf("enter %s: %w", netns, err), f.Close())
	}
	return f.Close()
}
