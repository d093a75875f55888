package tcp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/wire"
)

// siege is a stack, b, under attack on one of its connections, while another one of the same stack is in use. What each
// attack costs is logged: the stack's time for a packet, the most buffers, what it sent in reply.
type siege struct {
	*pair
	rng        *rand.Rand
	listener   ListenerID
	victim     *conn  // b's end of the connection that is attacked
	id, peerID ConnID // both ends' handles on it
	// The bystander's: both handles, and what it has moved.
	by, byPeer ConnID
	moved      int
	mute       bool // nothing of the victim's reaches its real peer
	replies    int
	peak       int64
	rest       int64 // buffers before the attack
}

func newSiege(t *testing.T, opt *Options) *siege {
	t.Helper()
	s := &siege{pair: newPair(t), rng: rand.New(rand.NewPCG(1, 2))}
	s.listener = s.listen(opt)
	s.by, s.byPeer = s.dial(s.listener, nil)
	s.peerID, s.id = s.dial(s.listener, opt)
	s.victim = s.b.conn(s.id)
	s.filter = func(to *end, out *Transmit) bool {
		if to != s.a || binary.BigEndian.Uint16(out.Header[out.TransportStart+2:]) != s.victim.tuple.remotePort {
			return true
		}
		s.replies++
		return !s.mute
	}
	s.useBystander()
	s.rest = s.b.pool.InUse()
	return s
}

// fire sends n packets of the attacker's, 20 µs apart, while the bystander goes on.
func (s *siege) fire(n int, craft func(i int) (wire.Segment, []byte)) {
	s.t.Helper()
	var spent time.Duration
	for i := range n {
		seg, payload := craft(i)
		if s.victim.timestampsOn && seg.Options.Set&wire.OptTimestamps == 0 {
			seg.Options.Set |= wire.OptTimestamps
			seg.Options.TSVal, seg.Options.TSEcr = s.victim.rcv.tsRecent, s.victim.tsNow(s.now)
		}
		hostile := s.b.raw(s.victim, seg, payload)
		began := time.Now()
		s.b.stack.HandlePacket(s.now, hostile)
		for s.b.stack.PollTransmit(s.now, &s.b.out) {
			spent += time.Since(began)
			if s.filter(s.a, &s.b.out) {
				if p, ok := packet(s.a.pool, &s.b.out); ok {
					s.a.stack.HandlePacket(s.now, p)
				}
			}
			began = time.Now()
		}
		spent += time.Since(began)
		s.peak = max(s.peak, s.b.pool.InUse()-s.rest)
		s.now = s.now.Add(20 * time.Microsecond)
		if i%100 == 0 {
			s.useBystander()
		}
	}
	if n < 100 {
		return
	}
	s.t.Logf("%d packets: %v each, %d replies, at most %d KiB of buffers", n, spent/time.Duration(n), s.replies, s.peak>>10)
}

// useBystander moves data on the other connection, both ways.
func (s *siege) useBystander() {
	s.t.Helper()
	const n = 10_000
	s.a.send(s.now, s.byPeer, n)
	s.b.send(s.now, s.by, n)
	s.flow()
	s.moved += s.b.receive(s.now, s.by) - n
	s.moved += s.a.receive(s.now, s.byPeer) - n
}

// wantBystander checks that the other connection got all of its data, and at once.
func (s *siege) wantBystander() {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	s.b.stack.HandleTimeout(s.now)
	s.a.stack.HandleTimeout(s.now)
	s.useBystander()
	if s.moved != 0 {
		s.t.Errorf("the other connection misses %d bytes", -s.moved)
	}
	for _, c := range []*conn{s.b.conn(s.by), s.a.conn(s.byPeer)} {
		if c.stat.retransmitted != 0 {
			s.t.Errorf("the other connection sent %d segments again", c.stat.retransmitted)
		}
	}
}

// wantVictim checks that the connection still works, for both ends.
func (s *siege) wantVictim() {
	s.t.Helper()
	s.mute = false
	s.a.write(s.now, s.peerID, []byte("still"))
	s.b.write(s.now, s.id, []byte("here"))
	s.advance(time.Second)
	if got := string(s.b.read(s.now, s.id)); got != "still" {
		s.t.Errorf("the victim received %q", got)
	}
	if got := string(s.a.read(s.now, s.peerID)); got != "here" {
		s.t.Errorf("the victim's peer received %q", got)
	}
}

func (s *siege) wantBuffers(most int64) {
	s.t.Helper()
	if s.peak > most {
		s.t.Errorf("%d KiB of buffers, want at most %d", s.peak>>10, most>>10)
	}
}

func (s *siege) wantReplies(most int) {
	s.t.Helper()
	if s.replies > most {
		s.t.Errorf("%d replies, want at most %d", s.replies, most)
	}
}

// TestBlindAttacks: somebody who knows addresses and ports, and no sequence number (RFC 5961).
func TestBlindAttacks(t *testing.T) {
	const packets = 50_000
	for name, craft := range map[string]func(s *siege) (wire.Segment, []byte){
		"RST": func(s *siege) (wire.Segment, []byte) {
			return wire.Segment{Seq: seqnum.Value(s.rng.Uint32()), Flags: wire.RST}, nil
		},
		"RST in the window": func(s *siege) (wire.Segment, []byte) {
			return wire.Segment{Seq: s.victim.rcv.nxt.Add(seqnum.Size(1 + s.rng.IntN(60_000))), Flags: wire.RST}, nil
		},
		"SYN": func(s *siege) (wire.Segment, []byte) {
			return wire.Segment{Seq: seqnum.Value(s.rng.Uint32()), Flags: wire.SYN}, nil
		},
		"SYN in the window": func(s *siege) (wire.Segment, []byte) {
			return wire.Segment{Seq: s.victim.rcv.nxt, Flags: wire.SYN}, nil
		},
		"data": func(s *siege) (wire.Segment, []byte) {
			return wire.Segment{Seq: seqnum.Value(s.rng.Uint32()), Ack: seqnum.Value(s.rng.Uint32()), Flags: wire.ACK, Window: 100}, []byte("injected")
		},
		"data in the window, with any ACK": func(s *siege) (wire.Segment, []byte) {
			ack := s.victim.snd.una.Add(seqnum.Size(1<<20 + s.rng.Uint32N(1<<31)))
			return wire.Segment{Seq: s.victim.rcv.nxt, Ack: ack, Flags: wire.ACK, Window: 100}, []byte("injected")
		},
		"FIN": func(s *siege) (wire.Segment, []byte) {
			return wire.Segment{Seq: seqnum.Value(s.rng.Uint32()), Ack: seqnum.Value(s.rng.Uint32()), Flags: wire.FIN | wire.ACK}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSiege(t, nil)
			s.fire(packets, func(int) (wire.Segment, []byte) { return craft(s) })
			// Challenge ACKs: ten a second, and what one saves up. Data out of the window is answered each time, as a peer
			// whose ACKs were lost needs it (RFC 9293 §3.10.7.4, first check).
			if name != "data" && name != "FIN" {
				s.wantReplies(100)
			}
			s.wantBuffers(0)
			s.wantVictim()
			s.wantBystander()
			s.finish()
		})
	}
}

// TestAckDivision: many ACKs for one segment grow the congestion window by the bytes that they acknowledge, not by their
// number (RFC 3465 §4, and Savage et al., 1999).
func TestAckDivision(t *testing.T) {
	s := newSiege(t, &Options{Congestion: CongestionReno})
	s.mute = true
	before := s.victim.cc.cwnd()
	s.b.send(s.now, s.id, 20_000)
	s.flow()
	sent := int(s.victim.snd.una.Size(s.victim.snd.nxt))
	una := s.victim.snd.una
	s.fire(sent, func(i int) (wire.Segment, []byte) {
		return wire.Segment{Seq: s.victim.rcv.nxt, Ack: una.Add(seqnum.Size(i + 1)), Flags: wire.ACK, Window: 8000}, nil
	})
	if got := s.victim.cc.cwnd(); got > before+sent {
		t.Errorf("cwnd grew from %d to %d by %d bytes acknowledged one at a time", before, got, sent)
	}
	s.wantBystander()
	s.finish()
}

// TestOptimisticAcks: what was never sent can't be acknowledged, and doing so gains nothing.
func TestOptimisticAcks(t *testing.T) {
	s := newSiege(t, nil)
	s.mute = true
	s.b.send(s.now, s.id, 1<<20)
	s.flow()
	una, cwnd := s.victim.snd.una, s.victim.cc.cwnd()
	s.fire(20_000, func(i int) (wire.Segment, []byte) {
		return wire.Segment{Seq: s.victim.rcv.nxt, Ack: s.victim.snd.nxt.Add(seqnum.Size(1 + i)), Flags: wire.ACK, Window: 60_000}, nil
	})
	if s.victim.snd.una != una || s.victim.cc.cwnd() > cwnd {
		t.Errorf("SND.UNA moved by %d, cwnd from %d to %d", una.Size(s.victim.snd.una), cwnd, s.victim.cc.cwnd())
	}
	s.wantBystander()
	s.finish()
}

// TestSACKFlood: blocks that cut what is in flight as finely as possible cost records up to their limit, and no more.
func TestSACKFlood(t *testing.T) {
	s := newSiege(t, &Options{SendBuffer: 4 << 20})
	// A peer that acknowledges makes the window large first.
	for range 40 {
		s.b.send(s.now, s.id, s.b.stack.SendSpace(s.id))
		s.advance(50 * time.Millisecond)
		s.a.receive(s.now, s.peerID)
		s.advance(50 * time.Millisecond)
	}
	s.mute = true
	s.b.send(s.now, s.id, s.b.stack.SendSpace(s.id))
	s.flow()
	s.rest = s.b.pool.InUse()
	flight := s.victim.flight()
	if flight < 100_000 {
		t.Fatalf("only %d bytes in flight", flight)
	}
	s.fire(50_000, func(int) (wire.Segment, []byte) {
		seg := wire.Segment{Seq: s.victim.rcv.nxt, Ack: s.victim.snd.una, Flags: wire.ACK, Window: 60_000}
		seg.Options.Set, seg.Options.SACKBlocks = wire.OptSACK, 3
		for b := range 3 {
			at := s.victim.snd.una.Add(seqnum.Size(1 + s.rng.IntN(flight-10)))
			seg.Options.SACK[b] = wire.SACKBlock{Start: at, End: at.Add(1)}
		}
		return seg, nil
	})
	if n, most := s.victim.sent.len(), s.b.stack.cfg.Limits.SentSegments+6; n > most {
		t.Errorf("%d records, the limit is %d", n, most)
	}
	t.Logf("%d records", s.victim.sent.len())
	s.wantBystander()
	s.finish()
}

// TestSACKReneging: a peer that SACKs everything and never acknowledges it keeps the data in our buffer, which is
// bounded, and is sent it again after a timeout (RFC 2018 §8).
func TestSACKReneging(t *testing.T) {
	s := newSiege(t, nil)
	s.mute = true
	s.b.send(s.now, s.id, 30_000)
	s.flow()
	una, nxt := s.victim.snd.una, s.victim.snd.nxt
	s.fire(1000, func(int) (wire.Segment, []byte) {
		seg := wire.Segment{Seq: s.victim.rcv.nxt, Ack: una, Flags: wire.ACK, Window: 60_000}
		seg.Options.Set, seg.Options.SACKBlocks = wire.OptSACK, 1
		seg.Options.SACK[0] = wire.SACKBlock{Start: una, End: nxt}
		return seg, nil
	})
	s.advance(time.Minute)
	if s.victim.stat.retransmitted == 0 {
		t.Error("what the peer reneged on was never sent again")
	}
	s.wantBystander()
	s.finish()
}

// TestTinyWindows: a peer that offers a byte at a time is sent few and no silly segments (RFC 9293 §3.8.6.2.1).
func TestTinyWindows(t *testing.T) {
	s := newSiege(t, &Options{NoWindowScale: true})
	s.mute = true
	s.b.send(s.now, s.id, 100_000)
	acknowledge := func() (wire.Segment, []byte) {
		return wire.Segment{Seq: s.victim.rcv.nxt, Ack: s.victim.snd.nxt, Flags: wire.ACK, Window: 1}, nil
	}
	s.flow()
	s.fire(1, func(int) (wire.Segment, []byte) { return acknowledge() })
	s.replies = 0
	const minutes = 10
	for range minutes * 60 {
		s.advance(time.Second)
		s.fire(1, func(int) (wire.Segment, []byte) { return acknowledge() })
	}
	if s.replies > minutes*60*6 {
		t.Errorf("%d segments in %d minutes", s.replies, minutes)
	}
	s.wantBystander()
	s.finish()
}

// TestOverlappingData: where segments disagree about bytes, each byte comes from one of them by rule: what waits for a
// gap to fill is not overwritten, and what comes in order is taken as it is, as Linux does.
func TestOverlappingData(t *testing.T) {
	s := newSiege(t, nil)
	s.mute = true
	start := s.victim.rcv.nxt
	send := func(from int, data string) {
		s.fire(1, func(int) (wire.Segment, []byte) {
			return wire.Segment{Seq: start.Add(seqnum.Size(from)), Ack: s.victim.snd.una, Flags: wire.ACK, Window: 1000}, []byte(data)
		})
	}
	send(4, "BBBB")
	send(2, "ccccccccCC") // 4 to 8 are there
	send(0, "aa")
	if got := string(s.b.read(s.now, s.id)); got != "aaccBBBBccCC" {
		t.Errorf("received %q", got)
	}
	send(14, "DDDD")
	send(8, "eeeeeeee") // up to 12 it is old
	if got := string(s.b.read(s.now, s.id)); got != "eeeeDD" {
		t.Errorf("received %q", got)
	}
	s.wantBystander()
	s.finish()
}

// TestOutOfOrderFlood: as many holes as there can be cost runs up to the limit, and no block for each byte.
func TestOutOfOrderFlood(t *testing.T) {
	s := newSiege(t, &Options{RecvBuffer: 1 << 20})
	s.mute = true
	s.fire(50_000, func(int) (wire.Segment, []byte) {
		at := s.victim.rcv.nxt.Add(seqnum.Size(1 + 2*s.rng.IntN(500_000)))
		return wire.Segment{Seq: at, Ack: s.victim.snd.una, Flags: wire.ACK, Window: 1000}, []byte{1}
	})
	limit := s.b.stack.cfg.Limits.OutOfOrder
	if n := len(s.victim.ooo.runs); n > limit {
		t.Errorf("%d runs, the limit is %d", n, limit)
	}
	s.wantBuffers(int64(limit+1) * 256)
	s.wantBystander()
	s.finish()
}

// TestScrambledFlood: a window of tiny segments in the order that costs a queue the most, last first and every second one
// before those between them, is kept at a bounded cost for each, in buffers that follow the bytes.
func TestScrambledFlood(t *testing.T) {
	const window, size = 1 << 20, 20
	for name, order := range map[string]func(i, n int) int{
		"backwards":          func(i, n int) int { return n - 1 - i },
		"scattered":          func(i, n int) int { return i * 7919 % n },
		"runs of 64 to join": func(i, n int) int { return (n - 1 - i) ^ 63 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSiege(t, &Options{RecvBuffer: window})
			s.a.send(s.now, s.peerID, 1) // a window can't be scaled before
			s.flow()
			s.b.receive(s.now, s.id)
			s.mute = true
			n := int(s.victim.rcvWindow())/size - 1
			n -= n % 64
			s.fire(n, func(i int) (wire.Segment, []byte) {
				at := s.victim.rcv.nxt.Add(seqnum.Size(1 + size*order(i, n)))
				return wire.Segment{Seq: at, Ack: s.victim.snd.una, Flags: wire.ACK, Window: 1000}, make([]byte, size)
			})
			limit := s.b.stack.cfg.Limits.OutOfOrder
			t.Logf("%d of %d bytes are kept in %d runs", s.victim.ooo.bytes, n*size, len(s.victim.ooo.runs))
			if len(s.victim.ooo.runs) > limit {
				t.Errorf("%d runs, the limit is %d", len(s.victim.ooo.runs), limit)
			}
			s.wantBuffers(int64(2*s.victim.ooo.bytes + (limit+1)*2*256)) // a run has a block at either end that is not full
			s.wantBystander()
			s.finish()
		})
	}
}

// TestTimestampGames: values from the future neither lock out the peer's true ones nor make a round trip negative.
func TestTimestampGames(t *testing.T) {
	s := newSiege(t, nil)
	// From off the path, with everything but the sequence number guessed.
	s.fire(10_000, func(int) (wire.Segment, []byte) {
		seg := wire.Segment{Seq: seqnum.Value(s.rng.Uint32()), Ack: s.victim.snd.una, Flags: wire.ACK, Window: 1000}
		seg.Options.Set, seg.Options.TSVal, seg.Options.TSEcr = wire.OptTimestamps, s.rng.Uint32(), s.rng.Uint32()
		return seg, []byte("x")
	})
	s.wantVictim()
	// By the peer itself: echoes of what was never sent.
	s.mute = true
	s.fire(10_000, func(int) (wire.Segment, []byte) {
		s.b.send(s.now, s.id, 100)
		s.flow()
		seg := wire.Segment{Seq: s.victim.rcv.nxt, Ack: s.victim.snd.nxt, Flags: wire.ACK, Window: 60_000}
		seg.Options.Set, seg.Options.TSVal, seg.Options.TSEcr = wire.OptTimestamps, s.victim.rcv.tsRecent, s.rng.Uint32()
		return seg, nil
	})
	if r := s.victim.rtt; r.srtt <= 0 || r.srtt > time.Second || s.victim.rto() > 3*time.Second {
		t.Errorf("SRTT %v, RTO %v", r.srtt, s.victim.rto())
	}
	s.wantBystander()
	s.finish()
}

// TestStalledPeers: connections whose peers open them, ask for data and take none cost a bounded part of memory each, and
// end when even probes are not answered.
func TestStalledPeers(t *testing.T) {
	const stalled, request = 1000, 64 << 10
	s := newSiege(t, &Options{SendBuffer: request})
	ids := []ConnID{s.id}
	for len(ids) < stalled {
		_, id := s.dial(s.listener, &Options{SendBuffer: request})
		ids = append(ids, id)
	}
	s.filter = func(to *end, out *Transmit) bool { // nothing of theirs is answered any more
		c := s.b.conn(s.by)
		return to != s.a || binary.BigEndian.Uint16(out.Header[out.TransportStart+2:]) == c.tuple.remotePort
	}
	s.rest = s.b.pool.InUse()
	for _, id := range ids {
		s.victim = s.b.conn(id)
		chain := make([]byte, request)
		s.b.write(s.now, id, chain)
		s.b.stack.HandlePacket(s.now, s.b.raw(s.victim, wire.Segment{
			Seq: s.victim.rcv.nxt, Ack: s.victim.snd.una, Flags: wire.ACK, Window: 0,
			Options: wire.Options{Set: wire.OptTimestamps, TSVal: s.victim.rcv.tsRecent},
		}, nil))
	}
	s.flow()
	held := s.b.pool.InUse() - s.rest
	t.Logf("%d stalled connections hold %d KiB of buffers, %d KiB each", stalled, held>>10, held>>10/stalled)
	if most := int64(stalled) * request * 3 / 2; held > most {
		t.Errorf("%d KiB of buffers, want at most %d", held>>10, most>>10)
	}
	s.useBystander()
	s.advance(time.Hour)
	for _, id := range ids {
		if c := s.b.conn(id); c.state != StateClosed {
			t.Fatalf("a stalled connection is in %v after an hour", c.state)
		}
		if err := s.b.stack.Close(s.now, id); err != nil {
			t.Fatal(err)
		}
	}
	s.wantBystander()
	s.finish()
}
