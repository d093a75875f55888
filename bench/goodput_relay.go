package main

import (
	"context"
	"errors"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
	"github.com/MUCZ/Starfish/test/relay"
)

// wire is the two devices between which the relay is a path. Without offload they carry packets as a wire would: what the
// kernel forwards to them of a super-segment comes cut.
type wire struct{ near, far tun.Device }

// newWire makes the near device in this network namespace and the far one in that of a process, which configures it.
func newWire(l *link, pid int) (*wire, error) {
	pool := zbuf.NewPool(0)
	near, err := tun.Open(tun.Config{Name: nearDevice, Offload: tun.Off, MTU: l.MTU, Pool: pool})
	if err != nil {
		return nil, err
	}
	far, err := tun.Open(tun.Config{Name: l.Device, Offload: tun.Off, MTU: l.MTU, Pool: pool})
	if err != nil {
		return nil, errors.Join(err, near.Close())
	}
	w := &wire{near: near, far: far}
	if err := ipCommands(
		"address add "+l.Peer.String()+" dev "+nearDevice,
		"link set "+nearDevice+" up",
		"link set "+l.Device+" netns "+strconv.Itoa(pid),
	); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *wire) close() error { return errors.Join(w.near.Close(), w.far.Close()) }

// emulate is the path p until stop is called, which returns what became of the data's packets.
func (w *wire) emulate(p *path, seed uint64) (stop func() (relay.Stats, error), err error) {
	there, back := p.links()
	r, err := relay.New(w.near, w.far, relay.Config{AtoB: there, BtoA: back, Seed: seed})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		// Back to what it was at the end: the thread may not end, since the children that it has started would with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		comeBeforeOthers(2)
		defer comeBeforeOthers(1)
		done <- r.Run(ctx)
	}()
	return func() (relay.Stats, error) {
		cancel()
		err := <-done
		stats, _ := r.Stats()
		return stats, err
	}, nil
}

// comeBeforeOthers has this thread, and what is started from it, run before ordinary ones, where the system allows that. On
// a busy machine the relay would hand packets over late, which would be jitter that the path does not have; and the kernel's
// TCP does its work within the relay's writes, where ours is a process that would have to wait.
func comeBeforeOthers(priority uint32) {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: priority}, 0)
}
