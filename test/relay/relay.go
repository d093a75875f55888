// Package relay is a bad network: it moves packets between two TUN devices and loses, delays, reorders, duplicates and
// damages them on the way, as a seed decides. The kernel's own means for that (netem) are not everywhere.
package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/sim"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

// maxInFlight bounds the packets under way in one direction. What comes on top is dropped, as by a router without
// memory. It is a second's worth at 1 Gbit/s and 1,500 bytes.
const maxInFlight = 100_000

// batch bounds the packets read from one device before the others' turn.
const batch = 64

// Config says what happens to packets in each direction. Links are as in the simulator, but for their MTU, which is the
// devices' own affair, and for super-segments, which devices without offload don't give.
type Config struct {
	AtoB, BtoA sim.Link
	Seed       uint64 // the same seed makes the same decisions about the same packets at the same times
}

// Stats counts what became of the packets of one direction.
type Stats struct {
	sim.LinkStats
	Overflow uint64 // dropped by the bound on packets under way
	Refused  uint64 // dropped because the device is down, or sees no IP packet in what damage left of it
	Late     uint64 // handed over more than a millisecond after their time, since others had the processor
}

// Relay moves packets between two devices. One goroutine owns it.
type Relay struct {
	directions [2]*direction
	wake       int // an eventfd that ends Run
	began      time.Time
}

// direction is one way through the relay.
type direction struct {
	from, to   tun.Queue
	impairment *sim.Impairment
	buf        []byte   // the packet that is being read
	free       [][]byte // for packets to come, as many as have been under way
	underWay   packetHeap
	blocked    bool // the device takes no more: nothing is handed over until it does
	serial     uint64
	stats      Stats
}

// New returns a relay between two devices, which must have one queue each and no offload.
func New(a, b tun.Device, cfg Config) (*Relay, error) {
	for _, device := range []tun.Device{a, b} {
		if len(device.Queues()) != 1 || device.Offload() != (tun.Offload{}) {
			return nil, fmt.Errorf("relay: %s: open it with one queue and without offload", device.Name())
		}
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("relay: eventfd: %w", err)
	}
	qa, qb := a.Queues()[0], b.Queues()[0]
	r := &Relay{wake: wake, began: time.Now()}
	r.directions[0] = newDirection(qa, qb, cfg.AtoB, cfg.Seed, 0)
	r.directions[1] = newDirection(qb, qa, cfg.BtoA, cfg.Seed, 1)
	return r, nil
}

func newDirection(from, to tun.Queue, link sim.Link, seed, which uint64) *direction {
	return &direction{from: from, to: to, impairment: sim.NewImpairment(link, rand.New(rand.NewPCG(seed, which)))}
}

// Stats returns the counts of both directions. Run must have returned.
func (r *Relay) Stats() (aToB, bToA Stats) { return r.directions[0].total(), r.directions[1].total() }

func (d *direction) total() Stats {
	s := d.stats
	s.LinkStats = d.impairment.Stats()
	return s
}

// Run moves packets until ctx ends, and then gives up the relay's descriptors, not the devices.
func (r *Relay) Run(ctx context.Context) error {
	defer r.close()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		r.interrupt()
		close(interrupted)
	})
	defer func() {
		if !stop() {
			<-interrupted // it must not write to a descriptor that is somebody else's by then
		}
	}()
	for ctx.Err() == nil {
		busy := false
		for _, d := range r.directions {
			more, err := d.read(r.now())
			if err != nil {
				return err
			}
			busy = busy || more
		}
		for _, d := range r.directions {
			if err := d.write(r.now()); err != nil {
				return err
			}
		}
		if err := r.wait(busy); err != nil {
			return err
		}
	}
	return nil
}

// now is the time on the scale of the impairments. It begins above zero.
func (r *Relay) now() tcp.Time { return tcp.Time(1).Add(time.Since(r.began)) }

// wait returns when a device has packets or room again, when a packet that is under way is due, or at once.
func (r *Relay) wait(busy bool) error {
	next := min(r.directions[0].due(), r.directions[1].due())
	var timeout *unix.Timespec
	switch left := next.Sub(r.now()); {
	case busy || left <= 0:
		timeout = new(unix.Timespec)
	case next != tcp.Never:
		ts := unix.NsecToTimespec(int64(left))
		timeout = &ts
	}
	fds := [3]unix.PollFd{{Fd: int32(r.wake), Events: unix.POLLIN}}
	for i, d := range r.directions {
		fds[i+1] = unix.PollFd{Fd: int32(d.from.FD()), Events: unix.POLLIN}
		if r.directions[1-i].blocked {
			fds[i+1].Events |= unix.POLLOUT
		}
	}
	if _, err := unix.Ppoll(fds[:], timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("relay: wait: %w", err)
	}
	for i, d := range r.directions {
		if fds[2-i].Revents&unix.POLLOUT != 0 {
			d.blocked = false
		}
	}
	return nil
}

func (r *Relay) interrupt() {
	_, _ = unix.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // it has room for the only write
}

func (r *Relay) close() {
	for _, d := range r.directions {
		d.underWay, d.free = nil, nil
	}
	_ = unix.Close(r.wake) // nothing can be done about an error
}
