package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/sim"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
)

const patience = 10 * time.Second

// cross sends n numbered packets through a relay and returns the numbers as they arrive on the other side, and what the
// relay counted.
func cross(t *testing.T, cfg Config, n int) ([]uint32, Stats) {
	t.Helper()
	pool := zbuf.NewPool(0)
	near, a := memory(t, pool)
	far, b := memory(t, pool)
	r, err := New(a, b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var got []uint32
	for i := range n {
		send(t, near, uint32(i))
		got = append(got, drain(t, far, 0)...)
	}
	got = append(got, drain(t, far, time.Second)...)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	stats, back := r.Stats()
	if back.Sent != 0 {
		t.Errorf("%d packets went back", back.Sent)
	}
	return got, stats
}

func memory(t *testing.T, pool *zbuf.Pool) (tun.Queue, tun.Device) {
	t.Helper()
	a, b, err := tun.NewMemory(pool, 1500, tun.Offload{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
	return a.Queues()[0], b
}

// send writes an IPv4 packet whose payload is its number, and waits for room.
func send(t *testing.T, q tun.Queue, number uint32) {
	t.Helper()
	p := make([]byte, 24)
	p[0], p[3] = 0x45, 24
	binary.BigEndian.PutUint32(p[20:], number)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := q.Write(p, nil, tun.Meta{})
		if err == nil {
			return
		}
		if !errors.Is(err, unix.EAGAIN) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// drain reads what is there, and what comes until nothing has come for a while.
func drain(t *testing.T, q tun.Queue, quiet time.Duration) []uint32 {
	t.Helper()
	var got []uint32
	for last := time.Now(); ; {
		var p tun.Packet
		err := q.Read(&p)
		switch {
		case err == nil:
			got = append(got, binary.BigEndian.Uint32(p.Head.Bytes()[20:]))
			p.Release()
			last = time.Now()
		case !errors.Is(err, unix.EAGAIN):
			t.Fatal(err)
		case time.Since(last) >= quiet:
			return got
		default:
			time.Sleep(time.Millisecond)
		}
	}
}

const many = 5000

func TestPerfectLink(t *testing.T) {
	got, stats := cross(t, Config{}, many)
	if len(got) != many || stats.Delivered != many || stats.Overflow+stats.Refused != 0 {
		t.Fatalf("%d of %d packets arrived: %+v", len(got), many, stats)
	}
	for i, number := range got {
		if number != uint32(i) {
			t.Fatalf("packet %d is number %d", i, number)
		}
	}
}

func TestDelay(t *testing.T) {
	const delay = 300 * time.Millisecond
	began := time.Now()
	if got, _ := cross(t, Config{AtoB: sim.Link{Delay: delay}}, 1); len(got) != 1 {
		t.Fatalf("%d packets arrived", len(got))
	}
	if took := time.Since(began); took < delay {
		t.Errorf("arrived after %v", took)
	}
}

func TestImpairments(t *testing.T) {
	link := sim.Link{Loss: 0.1, Duplicate: 0.05, Reorder: 0.1, ReorderDelay: 50 * time.Millisecond, Corrupt: 0.02}
	got, stats := cross(t, Config{AtoB: link, Seed: 1}, many)
	// What is damaged in its first byte is no packet any more, which the memory device does not mind.
	if uint64(len(got)) != stats.Delivered {
		t.Errorf("%d packets arrived: %+v", len(got), stats)
	}
	late := 0
	for i := 1; i < len(got); i++ {
		if got[i] < got[i-1] {
			late++
		}
	}
	if late == 0 {
		t.Error("none was reordered")
	}
	for name, count := range map[string]uint64{
		"lost": stats.Lost, "duplicated": stats.Duplicated, "delayed": stats.Delayed, "corrupted": stats.Corrupted,
	} {
		if count < many/100 || count > many/5 {
			t.Errorf("%d of %d are %s", count, many, name)
		}
	}
}

// The queue in front of a rate is bounded.
func TestRate(t *testing.T) {
	_, stats := cross(t, Config{AtoB: sim.Link{Rate: 100_000, Queue: 2400}}, 1000)
	if stats.QueueDrops == 0 || stats.Delivered < 100 {
		t.Errorf("%+v", stats)
	}
}

// The same seed loses the same packets.
func TestSeed(t *testing.T) {
	link := sim.Link{Loss: 0.2}
	first, _ := cross(t, Config{AtoB: link, Seed: 7}, 500)
	again, _ := cross(t, Config{AtoB: link, Seed: 7}, 500)
	other, _ := cross(t, Config{AtoB: link, Seed: 8}, 500)
	if !slices.Equal(first, again) {
		t.Error("the same seed lost other packets")
	}
	if slices.Equal(first, other) {
		t.Error("another seed lost the same packets")
	}
}

func TestOffloadIsRefused(t *testing.T) {
	pool := zbuf.NewPool(0)
	a, b, err := tun.NewMemory(pool, 1500, tun.Offload{Checksum: true})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	if _, err := New(a, b, Config{}); err == nil {
		t.Error("a device with offload was taken")
	}
}

// What others had the processor for is known, and the buffers of packets that are gone serve those that come.
func TestLatenessAndBuffers(t *testing.T) {
	pool := zbuf.NewPool(0)
	_, a := memory(t, pool)
	_, b := memory(t, pool)
	d := newDirection(a.Queues()[0], b.Queues()[0], sim.Link{}, 1, 0)
	packet := make([]byte, 24)
	packet[0], packet[3] = 0x45, 24
	const due = tcp.Time(100)
	for i, after := range []time.Duration{0, time.Millisecond, 2 * time.Millisecond} {
		kept := d.keep(due, packet)
		if err := d.write(due.Add(after)); err != nil {
			t.Fatal(err)
		}
		if want := uint64(i / 2); d.stats.Late != want {
			t.Errorf("%v after its time: %d late, want %d", after, d.stats.Late, want)
		}
		if again := d.keep(due, packet); &again[0] != &kept[0] {
			t.Error("another buffer for the next packet")
		}
		if err := d.write(due); err != nil {
			t.Fatal(err)
		}
	}
}
