package tun

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/zbuf"
)

func newMemoryPair(t testing.TB, pool *zbuf.Pool, o Offload) (a, b Queue) {
	t.Helper()
	da, db, err := NewMemory(pool, 1500, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(da.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	if da.MTU() != 1500 || da.Offload() != o || da.Name() == db.Name() {
		t.Errorf("device %s: MTU %d, offload %+v", da.Name(), da.MTU(), da.Offload())
	}
	return da.Queues()[0], db.Queues()[0]
}

func TestMemoryCarriesPackets(t *testing.T) {
	pool := newTestPool(t)
	a, b := newMemoryPair(t, pool, allOffloads)
	header := append([]byte{0x45}, make([]byte, 39)...)
	for _, sizes := range [][]int{{}, {1}, {1448}, {9000}, {100, 200}, {1000, 1500}, {30000, 20000, 15000}, {0, 5}} {
		want := append([]byte(nil), header...)
		var payload []zbuf.Slice
		for i, n := range sizes {
			data := bytes.Repeat([]byte{byte(i + 1)}, n)
			want = append(want, data...)
			payload = append(payload, blockOf(t, pool, data))
		}
		if err := a.Write(header, payload, Meta{}); err != nil {
			t.Fatal(err)
		}
		for _, s := range payload {
			s.Release()
		}
		if waitFor(t, b, unix.POLLIN, time.Second)&unix.POLLIN == 0 {
			t.Fatal("the other end is not readable")
		}
		var p Packet
		if err := b.Read(&p); err != nil {
			t.Fatal(err)
		}
		if p.Head.Len() < len(header) || p.Len() != len(want) {
			t.Errorf("payload %v: %d bytes in Head, %d in all", sizes, p.Head.Len(), p.Len())
		}
		if got := contents(&p); !bytes.Equal(got, want) {
			t.Errorf("payload %v: wrong bytes", sizes)
		}
	}
	var p Packet
	if err := b.Read(&p); !errors.Is(err, unix.EAGAIN) || !p.Head.IsZero() {
		t.Errorf("read of nothing: %v", err)
	}
}

func TestMemoryPayloadOnly(t *testing.T) {
	pool := newTestPool(t)
	a, b := newMemoryPair(t, pool, Offload{})
	for _, n := range []int{40, headBlock, headBlock + 1, MaxPacket} {
		data := bytes.Repeat([]byte{0x61}, n)
		s := blockOf(t, pool, data)
		if err := a.Write(nil, []zbuf.Slice{s}, Meta{}); err != nil {
			t.Fatal(err)
		}
		s.Release()
		var p Packet
		if err := b.Read(&p); err != nil {
			t.Fatal(err)
		}
		if !p.Meta.IPv6 || p.Head.Len() != min(n, headBlock) {
			t.Errorf("%d bytes: Head has %d, %+v", n, p.Head.Len(), p.Meta)
		}
		if got := contents(&p); !bytes.Equal(got, data) {
			t.Errorf("%d bytes: wrong bytes", n)
		}
	}
}

func TestMemoryHandsOverReference(t *testing.T) {
	pool := newTestPool(t)
	a, b := newMemoryPair(t, pool, Offload{})
	s := blockOf(t, pool, make([]byte, 9000))
	if err := a.Write(make([]byte, 40), []zbuf.Slice{s.Sub(10, 9000)}, Meta{}); err != nil {
		t.Fatal(err)
	}
	var p Packet
	if err := b.Read(&p); err != nil {
		t.Fatal(err)
	}
	if &p.Body.Bytes()[0] != &s.Bytes()[10] {
		t.Error("the payload was copied")
	}
	s.Release()
	if !p.Body.Exclusive() {
		t.Error("the packet does not own its body")
	}
	p.Release()
}

func TestMemoryMeta(t *testing.T) {
	pool := newTestPool(t)
	a, b := newMemoryPair(t, pool, allOffloads)
	meta := Meta{NeedsChecksum: true, ChecksumStart: 40, ChecksumOffset: 16, SegmentSize: 1000, HeaderLen: 60, IPv6: true, ECN: true}
	header := append([]byte{0x60}, make([]byte, 59)...)
	for _, tc := range []struct {
		payload int
		want    Meta
	}{
		{3000, Meta{NeedsChecksum: true, ChecksumStart: 40, ChecksumOffset: 16, SegmentSize: 1000, IPv6: true, ECN: true}},
		{1000, Meta{NeedsChecksum: true, ChecksumStart: 40, ChecksumOffset: 16, IPv6: true}},
	} {
		s := blockOf(t, pool, make([]byte, tc.payload))
		if err := a.Write(header, []zbuf.Slice{s}, meta); err != nil {
			t.Fatal(err)
		}
		s.Release()
		var p Packet
		if err := b.Read(&p); err != nil {
			t.Fatal(err)
		}
		if p.Meta != tc.want {
			t.Errorf("%d bytes of payload: read %+v, want %+v", tc.payload, p.Meta, tc.want)
		}
		p.Release()
	}
	c, _ := newMemoryPair(t, pool, Offload{})
	if err := c.Write(header, nil, Meta{NeedsChecksum: true}); !errors.Is(err, ErrNotOffloaded) {
		t.Errorf("checksum left to a plain device: %v", err)
	}
}

// TestMemoryFullAndWritableAgain fills a queue and checks that an edge-triggered epoll set wakes up when it is drained.
func TestMemoryFullAndWritableAgain(t *testing.T) {
	pool := newTestPool(t)
	a, b := newMemoryPair(t, pool, Offload{})
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	ev := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLET, Fd: int32(a.FD())}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, a.FD(), &ev); err != nil {
		t.Fatal(err)
	}
	events := make([]unix.EpollEvent, 4)
	ready := func(ms int) bool {
		n, err := unix.EpollWait(ep, events, ms)
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	if !ready(1000) {
		t.Fatal("an empty queue is not writable")
	}
	header := make([]byte, 40)
	n := 0
	for ; n < 5000; n++ {
		if err = a.Write(header, nil, Meta{}); err != nil {
			break
		}
	}
	if !errors.Is(err, unix.EAGAIN) || n < 100 || n > 2000 {
		t.Fatalf("after %d packets: %v, want EAGAIN after some hundred", n, err)
	}
	if waitFor(t, a, unix.POLLOUT, 0)&unix.POLLOUT != 0 || ready(0) {
		t.Error("a full queue is writable")
	}
	if got := pool.InUse(); got != int64(n)*256 {
		t.Errorf("%d bytes in use for %d queued packets: the refused one leaked", got, n)
	}
	for range n {
		var p Packet
		if err := b.Read(&p); err != nil {
			t.Fatal(err)
		}
		p.Release()
	}
	if !ready(1000) {
		t.Fatal("the drained queue did not become writable")
	}
	if err := a.Write(header, nil, Meta{}); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryWithoutBuffers(t *testing.T) {
	pool := zbuf.NewPool(256 + zbuf.MaxBlock)
	a, _ := newMemoryPair(t, pool, Offload{})
	big := blockOf(t, pool, make([]byte, 30000))
	half := big.Sub(0, 10000)
	if err := a.Write(make([]byte, 40), []zbuf.Slice{half, half}, Meta{}); !errors.Is(err, ErrNoBuffers) {
		t.Errorf("no block for the payload: %v", err)
	}
	hold, _ := pool.Get(1)
	if err := a.Write(make([]byte, 40), nil, Meta{}); !errors.Is(err, ErrNoBuffers) {
		t.Errorf("no block for the header: %v", err)
	}
	hold.Release()
	big.Release()
	if pool.InUse() != 0 {
		t.Errorf("%d bytes leaked", pool.InUse())
	}
}

func TestMemoryClose(t *testing.T) {
	pool := newTestPool(t)
	a, b, err := NewMemory(pool, 1500, Offload{})
	if err != nil {
		t.Fatal(err)
	}
	qa, qb := a.Queues()[0], b.Queues()[0]
	for range 3 {
		if err := errors.Join(qa.Write(make([]byte, 40), nil, Meta{}), qb.Write(make([]byte, 40), nil, Meta{})); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := qb.Write(make([]byte, 40), nil, Meta{}); !errors.Is(err, unix.EPIPE) {
		t.Errorf("write to a closed end: %v", err)
	}
	var p Packet
	for err = nil; err == nil; p.Release() {
		err = qb.Read(&p)
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("read from a closed end: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryBadArguments(t *testing.T) {
	if _, _, err := NewMemory(nil, 1500, Offload{}); err == nil {
		t.Error("no error without a pool")
	}
	if _, _, err := NewMemory(zbuf.NewPool(0), 65536, Offload{}); err == nil {
		t.Error("no error for an MTU above 65,535")
	}
}

func TestMemoryConcurrent(t *testing.T) {
	const packets = 5000
	pool := newTestPool(t)
	a, b := newMemoryPair(t, pool, Offload{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range packets {
			for {
				err := a.Write([]byte{byte(i), byte(i >> 8)}, nil, Meta{})
				if err == nil {
					break
				}
				if !errors.Is(err, unix.EAGAIN) {
					t.Error(err)
					return
				}
				waitFor(t, a, unix.POLLOUT, time.Second)
			}
		}
	})
	for i := range packets {
		var p Packet
		for err := b.Read(&p); err != nil; err = b.Read(&p) {
			if !errors.Is(err, unix.EAGAIN) || waitFor(t, b, unix.POLLIN, 5*time.Second) == 0 {
				t.Fatal(err)
			}
		}
		if got := contents(&p); int(got[0])|int(got[1])<<8 != i {
			t.Fatalf("packet %d is %v", i, got)
		}
	}
	wg.Wait()
}

func TestMemoryDoesNotAllocate(t *testing.T) {
	if raceBuild {
		t.Skip("the race detector's instrumentation of system calls allocates")
	}
	pool := newTestPool(t)
	a, b := newMemoryPair(t, pool, allOffloads)
	header := make([]byte, 52)
	payload := []zbuf.Slice{blockOf(t, pool, make([]byte, 60000))}
	defer payload[0].Release()
	meta := Meta{NeedsChecksum: true, ChecksumStart: 20, ChecksumOffset: 16, SegmentSize: 1448, HeaderLen: 52}
	var p Packet
	if n := testing.AllocsPerRun(500, func() {
		if a.Write(header, payload, meta) != nil || b.Read(&p) != nil || b.Read(&p) == nil {
			t.Fatal("write or read failed")
		}
		p.Release()
	}); n != 0 {
		t.Errorf("%v allocations per packet, want 0", n)
	}
}

func BenchmarkMemory(b *testing.B) {
	pool := newTestPool(b)
	qa, qb := newMemoryPair(b, pool, Offload{})
	header := make([]byte, 52)
	payload := []zbuf.Slice{blockOf(b, pool, make([]byte, 60000))}
	b.SetBytes(60052)
	var p Packet
	for b.Loop() {
		if err := errors.Join(qa.Write(header, payload, Meta{}), qb.Read(&p)); err != nil {
			b.Fatal(err)
		}
		p.Release()
	}
	payload[0].Release()
}
