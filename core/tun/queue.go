package tun

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/zbuf"
)

const (
	// headBlock is the size in bytes of the block that a packet's front is read into: a whole packet at the usual
	// MTU of 1,500, and more than any chain of headers that the parser accepts.
	headBlock = 2048

	// maxIOV is the kernel's UIO_MAXIOV: how many pieces one writev takes.
	maxIOV = 1024

	// maxPieces is how many of them are left for payload beside the vnet header and the packet's own.
	maxPieces = maxIOV - 2
)

// fdQueue is a queue of a kernel device, read and written by its descriptor.
type fdQueue struct {
	fd      int
	offload Offload
	vnet    bool // packets have a vnetHeader in front
	pool    *zbuf.Pool

	// Blocks that the next packet is read into. They stay over EAGAIN, and a packet that fits into head leaves body to
	// the next one: a small packet neither pins a large block nor is it copied.
	head, body zbuf.Slice

	readHeader, writeHeader vnetHeader
	readIOV                 [3]unix.Iovec // readHeader, head, body
	writeIOV                [maxIOV]unix.Iovec
}

func newFDQueue(fd int, vnet bool, offload Offload, pool *zbuf.Pool) *fdQueue {
	q := &fdQueue{fd: fd, vnet: vnet, offload: offload, pool: pool}
	setIOV(&q.readIOV[0], q.readHeader[:])
	return q
}

func (q *fdQueue) FD() int { return q.fd }

func (q *fdQueue) Read(p *Packet) error {
	if !q.prepare() {
		return ErrNoBuffers
	}
	iov, headerLen := q.readIOV[:], vnetHeaderLen
	if !q.vnet {
		iov, headerLen = q.readIOV[1:], 0
	}
	n, err := transfer(unix.SYS_READV, q.fd, iov)
	if err != nil {
		return err
	}
	if n -= headerLen; n <= 0 {
		return ErrMalformed
	}
	var meta Meta
	if q.vnet {
		meta = q.readHeader.decode(n)
	}
	*p = q.packet(n, meta)
	return nil
}

// packet takes the first n bytes read out of the prepared blocks.
func (q *fdQueue) packet(n int, meta Meta) Packet {
	p := Packet{Head: q.head, Meta: meta}
	if n <= headBlock {
		p.Head = q.head.Resize(n)
	} else {
		p.Body = q.body.Resize(n - headBlock)
		q.body = zbuf.Slice{}
	}
	q.head = zbuf.Slice{}
	p.Meta.IPv6 = p.Head.Bytes()[0]>>4 == 6
	return p
}

// prepare makes sure that there are blocks to read into.
func (q *fdQueue) prepare() bool {
	if q.head.IsZero() {
		s, ok := q.pool.Get(headBlock)
		if !ok {
			return false
		}
		q.head = s
		setIOV(&q.readIOV[1], s.Bytes())
	}
	if q.body.IsZero() {
		s, ok := q.pool.Get(zbuf.MaxBlock)
		if !ok {
			return false
		}
		q.body = s
		setIOV(&q.readIOV[2], s.Bytes())
	}
	return true
}

func (q *fdQueue) Write(header []byte, payload []zbuf.Slice, meta Meta) error {
	size := len(header) + totalLen(payload)
	if err := q.offload.check(&meta, size); err != nil {
		return err
	}
	if len(payload) > maxPieces {
		whole, ok := gather(q.pool, payload, size-len(header))
		if !ok {
			return ErrNoBuffers
		}
		defer whole.Release()
		payload = []zbuf.Slice{whole}
	}
	n := 0
	if q.vnet {
		q.writeHeader.encode(&meta, size)
		n += setIOV(&q.writeIOV[n], q.writeHeader[:])
	}
	n += setIOV(&q.writeIOV[n], header)
	for _, s := range payload {
		n += setIOV(&q.writeIOV[n], s.Bytes())
	}
	_, err := transfer(unix.SYS_WRITEV, q.fd, q.writeIOV[:n])
	clear(q.writeIOV[:n])
	return err
}

func (q *fdQueue) close() error {
	q.head.Release()
	q.body.Release()
	q.head, q.body = zbuf.Slice{}, zbuf.Slice{}
	return unix.Close(q.fd)
}

// setIOV points v at p and returns how many entries that takes: none for nothing.
func setIOV(v *unix.Iovec, p []byte) int {
	if len(p) == 0 {
		return 0
	}
	v.Base = &p[0]
	v.SetLen(len(p))
	return 1
}

// transfer is readv or writev without the copies of the vector that x/sys makes. The descriptor does not block, so the Go
// scheduler isn't told: it would hand our processor to another thread in the middle of a large copy.
func transfer(trap uintptr, fd int, iov []unix.Iovec) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func totalLen(payload []zbuf.Slice) (n int) {
	for _, s := range payload {
		n += s.Len()
	}
	return n
}

// gather copies payload of n bytes into one block.
func gather(pool *zbuf.Pool, payload []zbuf.Slice, n int) (zbuf.Slice, bool) {
	whole, ok := pool.Get(n)
	if !ok {
		return zbuf.Slice{}, false
	}
	at := 0
	for _, s := range payload {
		at += copy(whole.Bytes()[at:], s.Bytes())
	}
	return whole, true
}
