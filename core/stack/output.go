package stack

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// output is the sending side of a shard. At most one packet that the engine has built waits in it; while one does, the
// engine is not asked for more and keeps the rest.
type output struct {
	transmit tcp.Transmit
	full     bool // the device took nothing: wait for EPOLLOUT

	// The packet that waits for the device.
	waiting bool
	header  [tcp.MaxHeaderLen]byte
	length  int // of header
	payload []zbuf.Slice
	meta    tun.Meta

	// The packet that waits for another shard's inbox, or for our own.
	held    tcp.Packet
	heldFor *shard
}

// blocked reports whether a packet waits.
func (o *output) blocked() bool { return o.waiting || o.heldFor != nil }

func (o *output) drop() {
	o.release()
	o.held.Release()
	o.heldFor = nil
}

func (o *output) release() {
	for i := range o.payload {
		o.payload[i].Release()
		o.payload[i] = zbuf.Slice{}
	}
	o.payload, o.waiting = o.payload[:0], false
}

// keep copies and retains what the device could not take.
func (o *output) keep(t *tcp.Transmit, meta tun.Meta) {
	o.length = copy(o.header[:], t.Header)
	for _, piece := range t.Payload {
		o.payload = append(o.payload, piece.Retain())
	}
	o.meta, o.waiting = meta, true
}

// transmit sends a batch of what the engine has and reports whether there may be more that can go now.
func (s *shard) transmit() bool {
	if s.out.blocked() && !s.flush() {
		return false
	}
	t := &s.out.transmit
	for range packetBudget {
		if !s.engine.PollTransmit(s.now, t) || !s.send(t) {
			return false
		}
	}
	return true
}

// send puts one packet on its way. It reports false when the packet had to be kept.
func (s *shard) send(t *tcp.Transmit) bool {
	if s.owns(t.Dst) {
		return s.sendInternal(t)
	}
	if s.queue == nil || s.in.failed {
		s.counters.dropNoDevice++
		return true
	}
	meta := tun.Meta{
		SegmentSize:    t.SegmentSize,
		HeaderLen:      len(t.Header),
		ChecksumStart:  t.TransportStart,
		ChecksumOffset: wire.TCPChecksumOffset,
		NeedsChecksum:  t.ChecksumPartial,
		IPv6:           !t.Dst.Is4(),
		ECN:            t.CWR,
	}
	if !s.write(t.Header, t.Payload, meta) {
		s.out.keep(t, meta)
		return false
	}
	return true
}

// write gives a packet to the device. It reports false when the device is full.
func (s *shard) write(header []byte, payload []zbuf.Slice, meta tun.Meta) bool {
	err := s.queue.Write(header, payload, meta)
	switch {
	case err == nil:
		s.countOut(header, payload)
	case errors.Is(err, unix.EAGAIN):
		s.counters.deviceFull++
		s.out.full = true
		s.rearm()
		return false
	default:
		// The device is down, or has no memory: the packet is lost as on any link, and TCP sends it again.
		s.counters.dropDevice++
	}
	return true
}

// flush tries to get rid of the packet that waits and reports whether it did.
func (s *shard) flush() bool {
	if s.out.heldFor != nil {
		if !s.put(s.out.held, s.out.heldFor) {
			return false
		}
		s.out.held, s.out.heldFor = tcp.Packet{}, nil
	}
	if s.out.waiting {
		if s.out.full || !s.write(s.out.header[:s.out.length], s.out.payload, s.out.meta) {
			return false
		}
		s.out.release()
	}
	return true
}
