package tun

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// allOffloads is what a kernel device with offload has.
var allOffloads = Offload{Checksum: true, TSO4: true, TSO6: true}

func newTestPool(t testing.TB) *zbuf.Pool {
	t.Helper()
	p := zbuf.NewPool(0)
	t.Cleanup(func() {
		if n := p.InUse(); n != 0 {
			t.Errorf("%d bytes of buffers leaked", n)
		}
	})
	return p
}

// blockOf returns a slice that holds data.
func blockOf(t testing.TB, p *zbuf.Pool, data []byte) zbuf.Slice {
	t.Helper()
	s, ok := p.Get(len(data))
	if !ok {
		t.Fatal("no buffers")
	}
	copy(s.Bytes(), data)
	return s
}

// contents returns the packet's bytes and releases it.
func contents(p *Packet) []byte {
	b := append([]byte(nil), p.Head.Bytes()...)
	b = append(b, p.Body.Bytes()...)
	p.Release()
	return b
}

// waitFor waits until the queue's descriptor has one of the events and returns those it has.
func waitFor(t testing.TB, q Queue, events int16, limit time.Duration) int16 {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(q.FD()), Events: events}}
	for {
		_, err := unix.Poll(fds, int(limit.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return fds[0].Revents
		}
	}
}

// readMatching reads until a packet satisfies want: the kernel also sends neighbour discovery and the like by itself.
func readMatching(t testing.TB, q Queue, want func(b []byte, m Meta) bool) ([]byte, Meta) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		var p Packet
		switch err := q.Read(&p); {
		case errors.Is(err, unix.EAGAIN):
			waitFor(t, q, unix.POLLIN, 100*time.Millisecond)
			continue
		case err != nil:
			t.Fatal(err)
		}
		meta := p.Meta
		if b := contents(&p); want(b, meta) {
			return b, meta
		}
	}
	t.Fatal("the packet did not come within 5 s")
	return nil, Meta{}
}

// onesSum adds b to a ones' complement sum.
func onesSum(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum
}

// ipHeaderLen returns the length of a packet's network header without extensions.
func ipHeaderLen(b []byte) int {
	if b[0]>>4 == 6 {
		return 40
	}
	return int(b[0]&15) * 4
}

func protocol(b []byte) byte {
	if b[0]>>4 == 6 {
		return b[6]
	}
	return b[9]
}

// pseudoSum returns the sum of the pseudo-header of the transport segment in packet b.
func pseudoSum(b []byte) uint32 {
	n := uint32(len(b) - ipHeaderLen(b))
	addrs := b[12:20]
	if b[0]>>4 == 6 {
		addrs = b[8:40]
	}
	return onesSum(n+uint32(protocol(b)), addrs)
}

// ipHeader returns a network header for so many bytes of transport header and payload.
func ipHeader(src, dst netip.Addr, proto byte, n int) []byte {
	if src.Is6() {
		b := make([]byte, 8, 40)
		b[0] = 6 << 4
		binary.BigEndian.PutUint16(b[4:], uint16(n))
		b[6], b[7] = proto, 64
		return append(append(b, src.AsSlice()...), dst.AsSlice()...)
	}
	b := make([]byte, 12, 20)
	b[0] = 4<<4 | 5
	binary.BigEndian.PutUint16(b[2:], uint16(20+n))
	b[8], b[9] = 64, proto
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	binary.BigEndian.PutUint16(b[10:], ^uint16(onesSum(0, b)))
	return b
}

// tcpSegment is what the tests' responder reads and writes of TCP.
type tcpSegment struct {
	src, dst netip.AddrPort
	seq, ack uint32
	flags    byte
	options  []byte
	payload  []byte
}

const (
	flagFIN = 1
	flagSYN = 2
	flagPSH = 8
	flagACK = 16
)

func parseTCP(b []byte) (s tcpSegment, ok bool) {
	if len(b) < 20 || protocol(b) != unix.IPPROTO_TCP {
		return s, false
	}
	l := ipHeaderLen(b)
	h := b[l:]
	src, dst := b[12:16], b[16:20]
	if b[0]>>4 == 6 {
		src, dst = b[8:24], b[24:40]
	}
	srcAddr, _ := netip.AddrFromSlice(src)
	dstAddr, _ := netip.AddrFromSlice(dst)
	off := int(h[12]>>4) * 4
	return tcpSegment{
		src:     netip.AddrPortFrom(srcAddr, binary.BigEndian.Uint16(h)),
		dst:     netip.AddrPortFrom(dstAddr, binary.BigEndian.Uint16(h[2:])),
		seq:     binary.BigEndian.Uint32(h[4:]),
		ack:     binary.BigEndian.Uint32(h[8:]),
		flags:   h[13],
		options: h[20:off],
		payload: h[off:],
	}, true
}

// headers returns the segment's network and transport header. The checksum is complete, or the pseudo-header's sum.
func (s *tcpSegment) headers(partial bool) []byte {
	n := 20 + len(s.options)
	b := ipHeader(s.src.Addr(), s.dst.Addr(), unix.IPPROTO_TCP, n+len(s.payload))
	l := len(b)
	h := make([]byte, 20, 60)
	binary.BigEndian.PutUint16(h, s.src.Port())
	binary.BigEndian.PutUint16(h[2:], s.dst.Port())
	binary.BigEndian.PutUint32(h[4:], s.seq)
	binary.BigEndian.PutUint32(h[8:], s.ack)
	h[12], h[13] = byte(n/4)<<4, s.flags
	binary.BigEndian.PutUint16(h[14:], 65535)
	b = append(append(b, h...), s.options...)
	whole := append(b[:len(b):len(b)], s.payload...)
	sum := pseudoSum(whole)
	if !partial {
		sum = uint32(^uint16(onesSum(sum, whole[l:])))
	}
	binary.BigEndian.PutUint16(b[l+16:], uint16(sum))
	return b
}

// write sends the segment, as a super-segment when it has more payload than segmentSize.
func (s *tcpSegment) write(t testing.TB, q Queue, pool *zbuf.Pool, o Offload, segmentSize int) {
	t.Helper()
	header := s.headers(o.Checksum)
	meta := Meta{IPv6: s.src.Addr().Is6()}
	if o.Checksum {
		meta.NeedsChecksum, meta.ChecksumStart, meta.ChecksumOffset = true, ipHeaderLen(header), 16
		meta.SegmentSize, meta.HeaderLen = segmentSize, len(header)
	}
	var payload []zbuf.Slice
	for rest := s.payload; len(rest) > 0; {
		k := min(len(rest), 10000)
		payload = append(payload, blockOf(t, pool, rest[:k]))
		rest = rest[k:]
	}
	if err := q.Write(header, payload, meta); err != nil {
		t.Fatalf("write of %d bytes: %v", len(header)+len(s.payload), err)
	}
	for _, p := range payload {
		p.Release()
	}
}
