package stack

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

// input is the reading side of a shard's device queue.
type input struct {
	armed    uint32     // what epoll watches the queue for
	readable bool       // Read may have a packet
	paused   bool       // the pool was exhausted: no reading before resume
	resume   tcp.Time   // of a pause
	failed   bool       // the device is gone
	packet   tun.Packet // the one being read; here so that it needs no allocation

	// A packet of another shard whose inbox is full. Nothing is read until it is gone, so that packets of a flow stay
	// in order and the device's queue does the waiting.
	held    tcp.Packet
	heldFor *shard
}

// resumeAt returns the end of a pause, tcp.Never when there is none.
func (in *input) resumeAt() tcp.Time {
	if in.paused {
		return in.resume
	}
	return tcp.Never
}

func (in *input) drop() {
	in.held.Release()
	in.heldFor = nil
}

// watchDevice has epoll watch the queue.
func (s *shard) watchDevice() error {
	s.in.armed = unix.EPOLLIN
	return s.poll.add(s.queue.FD(), keyDevice, s.in.armed)
}

// rearm has epoll watch the queue for what the shard can use now. Level-triggered epoll would report the rest for ever.
func (s *shard) rearm() {
	if s.queue == nil || s.in.failed {
		return
	}
	var want uint32
	if !s.in.paused && s.in.heldFor == nil {
		want |= unix.EPOLLIN
	}
	if s.out.full {
		want |= unix.EPOLLOUT
	}
	if want == s.in.armed {
		return
	}
	if err := s.poll.modify(s.queue.FD(), keyDevice, want); err != nil {
		s.deviceFailed(err)
		return
	}
	s.in.armed = want
}

// deviceReady takes what epoll says of the queue.
func (s *shard) deviceReady(events uint32) {
	if events&(unix.EPOLLIN|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		s.in.readable = true
	}
	if events&unix.EPOLLOUT != 0 {
		s.out.full = false
		s.rearm()
	}
}

// deviceFailed stops the use of a queue that is no more, such as one whose device was deleted. Connections time out.
func (s *shard) deviceFailed(err error) {
	s.in.failed, s.in.readable = true, false
	_ = s.poll.remove(s.queue.FD()) // it may be gone already
	s.stack.cfg.Logf("device %s, queue %d: %v: no more packets go through it", s.stack.cfg.Device.Name(), s.index, err)
}

// readDevice takes a batch of packets and reports whether there may be more.
func (s *shard) readDevice() bool {
	if s.in.heldFor != nil && !s.handOver() {
		return false
	}
	if s.in.paused && s.now >= s.in.resume {
		s.in.paused, s.in.readable = false, true
		s.rearm()
	}
	if !s.in.readable || s.in.paused {
		return false
	}
	for range packetBudget {
		err := s.queue.Read(&s.in.packet)
		switch {
		case err == nil:
			s.receive(&s.in.packet)
			if s.in.heldFor != nil {
				return false
			}
		case errors.Is(err, unix.EAGAIN):
			s.in.readable = false
			return false
		case errors.Is(err, tun.ErrNoBuffers):
			s.counters.noBuffers++
			s.in.paused, s.in.resume = true, s.now.Add(noBuffersPause)
			s.rearm()
			return false
		case errors.Is(err, tun.ErrMalformed):
			s.counters.dropMalformed++
		default:
			s.deviceFailed(err)
			return false
		}
	}
	return true
}

// receive finds out what a packet is and passes its references on.
func (s *shard) receive(p *tun.Packet) {
	s.counters.packetsIn++
	s.counters.bytesIn += uint64(p.Len())
	if tap := s.stack.tap.Load(); tap != nil {
		s.tapIn(*tap, p)
	}
	if !s.stack.memory.takes(p.Len()) {
		s.counters.dropNoBuffers++
		p.Release()
		return
	}
	s.dispatch(p)
}

// dispatch passes a packet on by what it carries.
func (s *shard) dispatch(p *tun.Packet) {
	switch protocolOf(p) {
	case protocolTCP:
		s.forward(s.flowOwner(p), p)
	case protocolICMP:
		s.receiveICMP(p)
	case protocolFragment:
		s.receiveFragment(p)
	case protocolMalformed:
		s.counters.dropMalformed++
		p.Release()
	default:
		s.counters.dropProtocol++
		p.Release()
	}
}

// forward hands p to the engine of the shard that owns its flow.
func (s *shard) forward(owner *shard, p *tun.Packet) {
	packet := tcp.Packet{
		Head: p.Head, Body: p.Body, SegmentSize: p.Meta.SegmentSize,
		Trusted: p.Meta.NeedsChecksum || p.Meta.ChecksumValid,
	}
	if owner == s {
		s.engine.HandlePacket(s.now, packet)
		return
	}
	s.counters.handedOver++
	s.in.held, s.in.heldFor = packet, owner
	s.handOver()
}

// handOver tries to get rid of the held packet and reports whether it did.
func (s *shard) handOver() bool {
	owner := s.in.heldFor
	if !owner.inbox.put(s.in.held, s) {
		s.rearm()
		return false
	}
	owner.rouse()
	s.in.held, s.in.heldFor = tcp.Packet{}, nil
	s.rearm()
	return true
}
