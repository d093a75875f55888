// Package tun opens TUN devices and moves packets between their queues and referenced buffers.
//
// With offload, one system call moves a super-segment of up to 64 KiB and the transport checksum is left to the
// kernel; without it, every packet is complete and no larger than the MTU. NewMemory makes a pair of devices joined
// back to back in memory, with the same contract.
package tun

import (
	"errors"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// MaxPacket is the size in bytes of the largest IP packet that a queue reads or writes.
const MaxPacket = 65535

var (
	// ErrNoBuffers reports that the pool has no block for a packet. A packet to be read stays in the device.
	ErrNoBuffers = errors.New("tun: no buffers left")

	// ErrMalformed reports that the device gave bytes that can't be a packet; they are gone.
	ErrMalformed = errors.New("tun: malformed packet from the device")

	// ErrNotOffloaded reports a write that asks for an offload which the device doesn't have, or that is inconsistent.
	ErrNotOffloaded = errors.New("tun: write asks for an offload that the device does not have")
)

// Device is a network device with one or more queues.
type Device interface {
	Name() string
	MTU() int // in bytes, as it was when the device was opened
	Queues() []Queue
	Offload() Offload
	// Close gives up the queues and their buffers. No queue may be in use meanwhile, nor used afterwards.
	Close() error
}

// Queue is one queue of a device. It belongs to one goroutine.
type Queue interface {
	// FD returns the descriptor to watch with epoll, level or edge triggered: readable when Read may have a packet,
	// writable when Write may have room again. Only the queue reads and writes it.
	FD() int

	// Read takes one packet; the references of p.Head and p.Body pass to the caller. It never blocks: unix.EAGAIN says
	// that there is none, ErrNoBuffers that the pool is exhausted, ErrMalformed that one was dropped. Any other error
	// is the device's end. On an error *p is left as it was.
	Read(p *Packet) error

	// Write sends one packet, made of header and payload, and retains neither header nor, unless it adds references,
	// payload. It never blocks: unix.EAGAIN says that the device is full and took nothing; the caller keeps the packet
	// and waits for the descriptor to become writable.
	Write(header []byte, payload []zbuf.Slice, meta Meta) error
}

// Packet is a packet that was read: the bytes of Head followed by those of Body.
type Packet struct {
	Head zbuf.Slice // all headers, and the payload of a small packet
	Body zbuf.Slice // the rest of a large packet, else zero
	Meta Meta
}

// Len returns the packet's length in bytes.
func (p *Packet) Len() int { return p.Head.Len() + p.Body.Len() }

// Release gives up the packet's buffers.
func (p *Packet) Release() {
	p.Head.Release()
	p.Body.Release()
	*p = Packet{}
}

// Meta is what a packet's bytes don't say.
type Meta struct {
	// SegmentSize is the payload bytes of each segment when the packet is a super-segment, else 0. A packet that
	// has no more payload than SegmentSize is one plain segment.
	SegmentSize int

	// HeaderLen is the bytes of network and transport header of a super-segment that is written. On read it is 0: the
	// kernel reports how much of the packet it holds in one piece, which is another thing.
	HeaderLen int

	// ChecksumStart is where the transport header begins and ChecksumOffset where its checksum is from there. On write
	// with NeedsChecksum that field holds the pseudo-header's sum.
	ChecksumStart, ChecksumOffset int

	// NeedsChecksum on write has the device complete the checksum. On read it says that a sender on this host left it
	// out: there is nothing to verify.
	NeedsChecksum bool

	// ChecksumValid on read says that the checksum was verified below.
	ChecksumValid bool

	// IPv6 tells the two kinds of super-segment apart on write, and on read what the packet is.
	IPv6 bool

	// ECN marks a super-segment with CWR set, which is meant for its first segment only (RFC 3168 §6.1.2).
	ECN bool
}
