package tun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/zbuf"
)

// bothFamilies runs a test with and without offload, over IPv4 and IPv6.
func bothFamilies(t *testing.T, f func(t *testing.T, m Mode, ours netip.Addr)) {
	bothModes(t, func(t *testing.T, m Mode) {
		for _, ours := range []netip.Addr{ours4, ours6} {
			t.Run(fmt.Sprintf("ipv6=%v", ours.Is6()), func(t *testing.T) { f(t, m, ours) })
		}
	})
}

func TestDeviceReadsUDP(t *testing.T) {
	bothFamilies(t, func(t *testing.T, m Mode, ours netip.Addr) {
		q := openDevice(t, newTestPool(t), Config{Offload: m, MTU: 9000}).Queues()[0]
		conn, err := net.Dial("udp", netip.AddrPortFrom(ours, 5000).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, n := range []int{0, 1, headBlock - 60, headBlock, 8000} {
			data := bytes.Repeat([]byte{byte(n)}, n)
			if _, err := conn.Write(data); err != nil {
				t.Fatal(err)
			}
			b, meta := readMatching(t, q, func(b []byte, _ Meta) bool { return protocol(b) == unix.IPPROTO_UDP })
			l := ipHeaderLen(b)
			if !bytes.Equal(b[l+8:], data) {
				t.Errorf("datagram of %d bytes: got %d", n, len(b)-l-8)
			}
			checkChecksum(t, b, meta)
			if meta.IPv6 != ours.Is6() || meta.SegmentSize != 0 {
				t.Errorf("datagram of %d bytes: %+v", n, meta)
			}
			if m == On && !meta.NeedsChecksum {
				t.Errorf("datagram of %d bytes: the kernel computed a checksum that it could leave out", n)
			}
		}
	})
}

// checkChecksum verifies the transport checksum, which is the pseudo-header's sum where it was left out.
func checkChecksum(t testing.TB, b []byte, m Meta) {
	t.Helper()
	l := ipHeaderLen(b)
	if !m.NeedsChecksum {
		if sum := onesSum(pseudoSum(b), b[l:]); sum != 0xffff {
			t.Errorf("packet of %d bytes has a wrong checksum: sum %#x", len(b), sum)
		}
		return
	}
	if m.ChecksumStart != l {
		t.Errorf("checksum starts at %d, want %d", m.ChecksumStart, l)
	}
	if got := binary.BigEndian.Uint16(b[l+m.ChecksumOffset:]); uint32(got) != pseudoSum(b) {
		t.Errorf("checksum field is %#x, want the pseudo-header's sum %#x", got, pseudoSum(b))
	}
}

// TestDevicePing answers the kernel's echo requests and has the kernel answer ours.
func TestDevicePing(t *testing.T) {
	bothModes(t, func(t *testing.T, m Mode) {
		q := openDevice(t, newTestPool(t), Config{Offload: m}).Queues()[0]
		conn, err := net.Dial("ip4:icmp", ours4.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		request := []byte{8, 0, 0, 0, 1, 2, 0, 1, 'p', 'i', 'n', 'g'}
		binary.BigEndian.PutUint16(request[2:], ^uint16(onesSum(0, request)))
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		b, _ := readMatching(t, q, func(b []byte, _ Meta) bool { return protocol(b) == unix.IPPROTO_ICMP })
		if !bytes.Equal(b[20:], request) {
			t.Fatalf("the kernel's request arrived as %x", b[20:])
		}
		reply := bytes.Clone(request)
		reply[0] = 0
		clear(reply[2:4])
		binary.BigEndian.PutUint16(reply[2:], ^uint16(onesSum(0, reply)))
		if err := q.Write(append(ipHeader(ours4, kernel4.Addr(), unix.IPPROTO_ICMP, len(reply)), reply...), nil, Meta{}); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, _, err := conn.(*net.IPConn).ReadFromIP(buf) // without the network header, unlike Read
		if err != nil || !bytes.Equal(buf[:n], reply) {
			t.Errorf("the kernel got %x, %v", buf[:n], err)
		}

		if err := q.Write(ipHeader(ours4, kernel4.Addr(), unix.IPPROTO_ICMP, len(request)), payloadOf(t, request), Meta{}); err != nil {
			t.Fatal(err)
		}
		readMatching(t, q, func(b []byte, _ Meta) bool { return bytes.Equal(b[ipHeaderLen(b):], reply) })
	})
}

// payloadOf returns data as a payload that the test releases at its end.
func payloadOf(t testing.TB, data []byte) []zbuf.Slice {
	t.Helper()
	s := blockOf(t, zbuf.NewPool(0), data)
	t.Cleanup(s.Release)
	return []zbuf.Slice{s}
}

// responder speaks just enough TCP over a queue to exchange data with one kernel socket.
type responder struct {
	t       testing.TB
	q       Queue
	pool    *zbuf.Pool
	offload Offload
	addr    netip.AddrPort

	seg      tcpSegment // what is sent next
	received []byte
	acked    uint32
	largest  int // payload bytes of the largest packet read
	sawSuper bool
}

// step reads a segment from the kernel and answers it.
func (r *responder) step() {
	var s tcpSegment
	b, meta := readMatching(r.t, r.q, func(b []byte, _ Meta) (ok bool) {
		s, ok = parseTCP(b)
		return ok && s.dst == r.addr
	})
	checkChecksum(r.t, b, meta)
	r.acked = s.ack
	if meta.SegmentSize > 0 && len(s.payload) > meta.SegmentSize {
		r.sawSuper = true
	} else if limit := 1460; len(s.payload) > limit {
		r.t.Errorf("a plain packet has %d bytes of payload", len(s.payload))
	}
	r.largest = max(r.largest, len(s.payload))
	switch {
	case s.flags&flagSYN != 0:
		// MSS 1460, window scale 7.
		r.seg = tcpSegment{src: s.dst, dst: s.src, seq: 1000, ack: s.seq + 1, flags: flagSYN | flagACK, options: []byte{2, 4, 5, 180, 1, 3, 3, 7}}
		r.seg.write(r.t, r.q, r.pool, r.offload, 0)
		r.seg.seq, r.seg.flags, r.seg.options = r.seg.seq+1, flagACK, nil
	case len(s.payload) > 0 || s.flags&flagFIN != 0:
		if s.seq == r.seg.ack {
			r.received = append(r.received, s.payload...)
			r.seg.ack += uint32(len(s.payload)) + uint32(s.flags&flagFIN)
		}
		r.seg.write(r.t, r.q, r.pool, r.offload, 0)
	}
}

// send sends data in packets of at most size bytes and waits for the acknowledgement of each window.
func (r *responder) send(data []byte, size int) {
	const window, mss = 40000, 1400
	for len(data) > 0 {
		for burst := min(window, len(data)); burst > 0; {
			k := min(size, burst)
			s := r.seg
			s.payload, s.flags = data[:k], flagACK|flagPSH
			s.write(r.t, r.q, r.pool, r.offload, mss)
			r.seg.seq += uint32(k)
			data, burst = data[k:], burst-k
		}
		for r.acked != r.seg.seq {
			r.step()
		}
	}
}

// TestDeviceTCP exchanges data with a kernel socket: super-segments in both directions where there is offload, and
// packets of at most one segment where there is none.
func TestDeviceTCP(t *testing.T) {
	bothFamilies(t, func(t *testing.T, m Mode, ours netip.Addr) {
		pool := newTestPool(t)
		d := openDevice(t, pool, Config{Offload: m})
		r := &responder{t: t, q: d.Queues()[0], pool: pool, offload: d.Offload(), addr: netip.AddrPortFrom(ours, 80)}
		up, down := make([]byte, 300_000), make([]byte, 200_001)
		rnd := rand.NewChaCha8([32]byte{byte(m)})
		rnd.Read(up)
		rnd.Read(down)

		result := make(chan error, 1)
		go func() { result <- exchange(r.addr, up, down) }()
		for len(r.received) < len(up) {
			r.step()
		}
		if !bytes.Equal(r.received, up) {
			t.Error("other bytes arrived than the kernel sent")
		}
		size := 1400
		if m == On {
			size = window64K
		}
		r.send(down, size)
		if err := <-result; err != nil {
			t.Error(err)
		}
		if r.sawSuper != (m == On) {
			t.Errorf("super-segments seen: %v, the largest packet had %d bytes of payload", r.sawSuper, r.largest)
		}
	})
}

// window64K is a packet size that the responder's window bounds, not the packet's.
const window64K = 60000

// exchange sends up from a kernel socket and expects down.
func exchange(addr netip.AddrPort, up, down []byte) error {
	conn, err := net.DialTimeout("tcp", addr.String(), 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(up); err != nil {
		return err
	}
	got := make([]byte, len(down))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if !bytes.Equal(got, down) {
		return errors.New("the kernel's socket got other bytes than were sent")
	}
	return nil
}

// TestDeviceManyPieces sends a packet of more pieces than one system call takes.
func TestDeviceManyPieces(t *testing.T) {
	bothModes(t, func(t *testing.T, m Mode) {
		pool := newTestPool(t)
		q := openDevice(t, pool, Config{Offload: m, MTU: 9000}).Queues()[0]
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: kernel4.Addr().AsSlice()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, n := range []int{maxPieces, maxPieces + 1, 3000} {
			data := make([]byte, n)
			var payload []zbuf.Slice
			whole := blockOf(t, pool, data)
			for i := range data {
				whole.Bytes()[i] = byte(i * 3)
				payload = append(payload, whole.Sub(i, i+1))
			}
			copy(data, whole.Bytes())
			header := append(ipHeader(ours4, kernel4.Addr(), unix.IPPROTO_UDP, 8+n), make([]byte, 8)...)
			binary.BigEndian.PutUint16(header[22:], uint16(conn.LocalAddr().(*net.UDPAddr).Port))
			binary.BigEndian.PutUint16(header[24:], uint16(8+n))
			if err := q.Write(header, payload, Meta{}); err != nil {
				t.Fatal(err)
			}
			whole.Release()
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 9000)
			k, err := conn.Read(got)
			if err != nil || !bytes.Equal(got[:k], data) {
				t.Errorf("%d pieces: the kernel got %d bytes, %v", n, k, err)
			}
		}
	})
}

// TestDeviceReadWithoutBuffers reads with an exhausted pool: the packet must wait.
func TestDeviceReadWithoutBuffers(t *testing.T) {
	bothModes(t, func(t *testing.T, m Mode) {
		pool := zbuf.NewPool(headBlock + zbuf.MaxBlock)
		q := openDevice(t, pool, Config{Offload: m, Addresses: []netip.Prefix{kernel4}}).Queues()[0]
		conn, err := net.Dial("udp", netip.AddrPortFrom(ours4, 5000).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("waits")); err != nil {
			t.Fatal(err)
		}
		hold, ok := pool.Get(headBlock)
		if !ok {
			t.Fatal("no buffers")
		}
		var p Packet
		for range 3 {
			if err := q.Read(&p); !errors.Is(err, ErrNoBuffers) {
				t.Fatalf("read without buffers: %v", err)
			}
		}
		hold.Release()
		readMatching(t, q, func(b []byte, _ Meta) bool { return bytes.HasSuffix(b, []byte("waits")) })
	})
}

func TestDeviceTakenAway(t *testing.T) {
	bothModes(t, func(t *testing.T, m Mode) {
		d := openDevice(t, newTestPool(t), Config{Name: "sf11", Offload: m})
		q := d.Queues()[0]
		deleteLink(t, "sf11")
		var p Packet
		if err := q.Read(&p); err == nil || errors.Is(err, unix.EAGAIN) {
			t.Errorf("read from a deleted device: %v", err)
		}
		if err := q.Write(make([]byte, 40), nil, Meta{}); err == nil || errors.Is(err, unix.EAGAIN) {
			t.Errorf("write to a deleted device: %v", err)
		}
	})
}

// echoRequest returns a whole packet that the kernel answers.
func echoRequest(payload int) []byte {
	icmp := make([]byte, 8+payload)
	icmp[0] = 8
	binary.BigEndian.PutUint16(icmp[2:], ^uint16(onesSum(0, icmp)))
	return append(ipHeader(ours4, kernel4.Addr(), unix.IPPROTO_ICMP, len(icmp)), icmp...)
}

func TestDeviceDoesNotAllocate(t *testing.T) {
	if raceBuild {
		t.Skip("the race detector's instrumentation of system calls allocates")
	}
	bothModes(t, func(t *testing.T, m Mode) {
		q := openDevice(t, newTestPool(t), Config{Offload: m, MTU: 9000, Addresses: []netip.Prefix{kernel4}}).Queues()[0]
		for _, n := range []int{56, 8000} {
			request := echoRequest(n)
			payload := payloadOf(t, request[20:])
			read := 0
			var p Packet
			if allocs := testing.AllocsPerRun(300, func() {
				if err := q.Write(request[:20], payload, Meta{}); err != nil {
					t.Fatal(err)
				}
				for q.Read(&p) == nil {
					read++
					p.Release()
				}
			}); allocs != 0 {
				t.Errorf("%v allocations per packet of %d bytes, want 0", allocs, len(request))
			}
			if read < 300 {
				t.Errorf("only %d replies to 300 requests", read)
			}
		}
	})
}

// BenchmarkDeviceEcho writes a packet and reads the kernel's answer to it.
func BenchmarkDeviceEcho(b *testing.B) {
	for _, m := range []Mode{On, Off} {
		for _, n := range []int{56, 60000} {
			b.Run(fmt.Sprintf("offload=%v/size=%d", m, n), func(b *testing.B) {
				q := openDevice(b, newTestPool(b), Config{Offload: m, MTU: MaxPacket, Addresses: []netip.Prefix{kernel4}}).Queues()[0]
				request := echoRequest(n)
				payload := payloadOf(b, request[20:])
				b.SetBytes(int64(2 * len(request)))
				var p Packet
				for b.Loop() {
					if err := q.Write(request[:20], payload, Meta{}); err != nil {
						b.Fatal(err)
					}
					for q.Read(&p) == nil {
						p.Release()
					}
				}
			})
		}
	}
}
