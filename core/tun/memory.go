package tun

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// memorySendBuffer is the SO_SNDBUF in bytes of a memory device's sockets. The kernel doubles it and charges some 800
// bytes for a token, so that a queue holds a few hundred packets.
const memorySendBuffer = 128 << 10

// memoryDevice is one end of a pair of devices joined in memory. It is its own only queue.
//
// The packets wait in a memoryQueue. For each, one byte goes through a socket pair: it makes the other end's
// descriptor readable, and the socket's own buffer is the bound that makes a full queue unwritable and a drained one
// writable again, with the wake-ups of epoll right in every order.
type memoryDevice struct {
	name    string
	mtu     int
	offload Offload
	pool    *zbuf.Pool
	fd      int
	in, out *memoryQueue
}

// memoryQueue holds the packets on their way in one direction.
type memoryQueue struct {
	mu      sync.Mutex
	ring    []Packet // as long as a power of two
	head, n int
	closed  bool // the reader is gone
}

// NewMemory returns two devices of one queue each, where what is written to one is read from the other. The two may
// be used and closed from two goroutines. Payload that is written as one slice is read by reference: the same bytes,
// not to be written to any more. Write also returns ErrNoBuffers, when the pool has no block for the packet's header.
func NewMemory(pool *zbuf.Pool, mtu int, offload Offload) (a, b Device, err error) {
	if pool == nil || mtu <= 0 || mtu > MaxPacket {
		return nil, nil, fmt.Errorf("tun: memory device: a pool and an MTU of 1 to %d are needed, MTU %d is given", MaxPacket, mtu)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("tun: memory device: socket pair: %w", err)
	}
	for _, fd := range fds {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, memorySendBuffer); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("tun: memory device: send buffer: %w", err), unix.Close(fds[0]), unix.Close(fds[1]))
		}
	}
	ab, ba := new(memoryQueue), new(memoryQueue)
	left := &memoryDevice{name: "memory0", mtu: mtu, offload: offload, pool: pool, fd: fds[0], in: ba, out: ab}
	right := &memoryDevice{name: "memory1", mtu: mtu, offload: offload, pool: pool, fd: fds[1], in: ab, out: ba}
	return left, right, nil
}

func (d *memoryDevice) Name() string     { return d.name }
func (d *memoryDevice) MTU() int         { return d.mtu }
func (d *memoryDevice) Offload() Offload { return d.offload }
func (d *memoryDevice) Queues() []Queue  { return []Queue{d} }
func (d *memoryDevice) FD() int          { return d.fd }

func (d *memoryDevice) Close() error {
	d.in.close()
	return unix.Close(d.fd)
}

// Read returns io.EOF once the other end is closed.
func (d *memoryDevice) Read(p *Packet) error {
	var token [1]byte
	for {
		n, err := unix.Read(d.fd, token[:])
		switch {
		case n == 1:
			*p = d.in.pop()
			return nil
		case err == nil, errors.Is(err, unix.ECONNRESET):
			return io.EOF
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
}

// Write returns unix.EPIPE once the other end is closed.
func (d *memoryDevice) Write(header []byte, payload []zbuf.Slice, meta Meta) error {
	size := len(header) + totalLen(payload)
	if err := d.offload.check(&meta, size); err != nil {
		return err
	}
	p, ok := d.packet(header, payload, size)
	if !ok {
		return ErrNoBuffers
	}
	p.Meta = asRead(meta, p.Head, size)
	if err := d.out.push(p, d.fd); err != nil {
		p.Release()
		return err
	}
	return nil
}

// packet makes the two slices that are read: a small packet whole, else the header and the payload by itself.
func (d *memoryDevice) packet(header []byte, payload []zbuf.Slice, size int) (p Packet, ok bool) {
	headLen := len(header)
	if size <= headBlock && len(payload) > 1 || headLen == 0 {
		headLen = min(size, headBlock)
	}
	if p.Head, ok = d.pool.Get(headLen); !ok {
		return Packet{}, false
	}
	head := p.Head.Bytes()
	head = head[copy(head, header):]
	if headLen == len(header) && len(payload) <= 1 {
		if len(payload) == 1 {
			p.Body = payload[0].Retain()
		}
		return p, true
	}
	if size > headLen {
		if p.Body, ok = d.pool.Get(size - headLen); !ok {
			p.Head.Release()
			return Packet{}, false
		}
	}
	body := p.Body.Bytes()
	for _, s := range payload {
		b := s.Bytes()
		k := copy(head, b)
		head = head[k:]
		body = body[copy(body, b[k:]):]
	}
	return p, true
}

// asRead turns what the writer says about a packet into what a kernel device tells the reader.
func asRead(meta Meta, head zbuf.Slice, size int) Meta {
	if size-meta.HeaderLen <= meta.SegmentSize {
		meta.SegmentSize, meta.ECN = 0, false
	}
	meta.HeaderLen = 0
	meta.ChecksumValid = false
	meta.IPv6 = head.Bytes()[0]>>4 == 6
	return meta
}

// push appends p and makes the other end of the socket fd readable, or does neither.
func (q *memoryQueue) push(p Packet, fd int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return unix.EPIPE
	}
	token := [1]byte{1}
	if _, err := unix.SendmsgN(fd, token[:], nil, nil, unix.MSG_NOSIGNAL); err != nil {
		return err
	}
	if q.n == len(q.ring) {
		ring := make([]Packet, max(16, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = p
	q.n++
	return nil
}

// pop returns the oldest packet. The caller took its token, so there is one.
func (q *memoryQueue) pop() Packet {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.ring[q.head]
	q.ring[q.head] = Packet{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return p
}

// close releases what nobody will read any more.
func (q *memoryQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for ; q.n > 0; q.n-- {
		q.ring[q.head].Release()
		q.head = (q.head + 1) & (len(q.ring) - 1)
	}
}
