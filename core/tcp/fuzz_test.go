package tcp

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// inStates opens connections in several states, all at fixed sequence numbers.
func (x *fuzzed) inStates() {
	iss := uint32(1000)
	opt := Options{FixedISN: &iss}
	for i, end := range []func(ConnID){
		func(ConnID) {},
		func(id ConnID) { x.send(x.now, id, 5000) },
		func(id ConnID) { _ = x.stack.CloseWrite(x.now, id) },
		func(id ConnID) { _ = x.stack.Close(x.now, id) },
	} {
		id := x.open(x.tuple(i))
		_ = x.stack.SetOptions(x.now, id, &opt)
		end(id)
		x.drain(10)
	}
	x.connect(x.tuple(10)) // SYN-SENT
	x.drain(10)
	x.stack.HandlePacket(x.now, x.rawFrom(x.tuple(11), wire.Segment{Seq: 7, Flags: wire.SYN, Window: 1000}, nil))
	x.drain(10)
}

// FuzzHandlePacket hands in any bytes as a packet.
func FuzzHandlePacket(f *testing.F) {
	f.Add([]byte{0})
	for _, seed := range packetSeeds() {
		f.Add(seed)
	}
	iss := uint32(1000)
	f.Fuzz(func(t *testing.T, data []byte) {
		x := newFuzzed(t, Options{FixedISN: &iss})
		x.inStates()
		x.check()
		in := input{data}
		for range 8 {
			mode := in.byte()
			n := min(len(in.data), in.int(1<<16), zbuf.MaxBlock)
			packet := Packet{Trusted: mode&1 != 0}
			if mode&2 != 0 {
				packet.SegmentSize = in.int(1 << 16)
			}
			n = min(n, len(in.data))
			split := n
			if mode&4 != 0 {
				split = min(in.int(1<<8), len(in.data))
				n = min(n, len(in.data))
				split = min(split, n)
			}
			packet.Head = x.block(in.data[:split])
			if split < n {
				packet.Body = x.block(in.data[split:n])
			}
			in.data = in.data[n:]
			x.stack.HandlePacket(x.now, packet)
			x.check()
			x.drain(100)
			x.check()
			if !in.more() {
				break
			}
		}
		x.finish()
	})
}

// block returns a block with a copy of b.
func (x *fuzzed) block(b []byte) zbuf.Slice {
	s, ok := x.pool.Get(len(b))
	if !ok {
		x.t.Fatal("the pool is exhausted")
	}
	copy(s.Bytes(), b)
	return s
}

// packetSeeds are packets for the connections of inStates, and ICMP errors about what they have sent.
func packetSeeds() (seeds [][]byte) {
	local, remote := wire.Addr4([4]byte{10, 0, 0, 1}), wire.Addr4([4]byte{10, 0, 0, 2})
	add := func(packet []byte) {
		seeds = append(seeds, append([]byte{1, byte(len(packet) >> 8), byte(len(packet))}, packet...))
	}
	for _, port := range []uint16{1000, 1001, 1002, 1003, 1010, 1011, 1012} {
		for _, flags := range []wire.Flags{
			wire.ACK, wire.SYN, wire.SYN | wire.ACK, wire.RST, wire.FIN | wire.ACK, wire.ACK | wire.URG | wire.PSH, 0,
		} {
			seg := wire.Segment{
				SrcPort: port, DstPort: 80, Seq: 0xffff_ff01, Ack: 1001, Flags: flags, Window: 1000, Urgent: 3,
				Options: wire.Options{Set: wire.OptTimestamps, TSVal: 2},
			}
			if flags.Has(wire.SYN) {
				seg.Options.Set |= wire.OptMSS | wire.OptWindowScale | wire.OptSACKPermitted
				seg.Options.MSS = 1000
			}
			if flags == wire.ACK {
				seg.Options.Set |= wire.OptSACK
				seg.Options.SACK[0] = wire.SACKBlock{Start: 1101, End: 1201}
				seg.Options.SACKBlocks = 1
			}
			b := make([]byte, 200)
			payload := 10
			n := wire.PutIP(b, &wire.IP{Src: remote, Dst: local, Protocol: wire.TCP, TTL: 64},
				wire.TCPHeaderLen+seg.Options.WireLen()+payload)
			n += wire.PutSegment(b[n:], &seg)
			add(b[:n+payload])
		}
		quoted := make([]byte, 60)
		n := wire.PutIP(quoted, &wire.IP{Src: local, Dst: remote, Protocol: wire.TCP, TTL: 64}, wire.TCPHeaderLen)
		n += wire.PutSegment(quoted[n:], &wire.Segment{SrcPort: 80, DstPort: port, Seq: 1001, Flags: wire.ACK})
		for _, kind := range []wire.ErrorKind{wire.PortUnreachable, wire.PacketTooBig, wire.TimeExceeded} {
			b := make([]byte, 200)
			add(b[:wire.PutICMPError(b, remote, kind, 600, quoted[:n])])
		}
	}
	return seeds
}

// FuzzSegments plays the peers of several connections: segments near the live sequence numbers, the user's calls, and time.
func FuzzSegments(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("\x01\x10\x00\x20\x00\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))
	f.Fuzz(playSegments)
}

// TestRandomSegments is FuzzSegments without a fuzzer: random inputs get further than mutated ones in the same time.
func TestRandomSegments(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 7))
		data := make([]byte, 100+rng.IntN(1000))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { playSegments(t, data) })
	}
}

// playSegments is one run of what an input says.
func playSegments(t *testing.T, data []byte) {
	in := input{data}
	x := newFuzzed(t, fuzzOptions(&in))
	for i := range 1 + int(in.byte()%3) {
		if in.byte()%4 == 0 {
			x.connect(x.tuple(i))
		} else {
			x.tuples = append(x.tuples, x.tuple(i))
			x.ids = append(x.ids, x.open(x.tuple(i)))
		}
	}
	x.check()
	for range 200 {
		if !in.more() {
			break
		}
		x.step(&in)
		x.check()
	}
	x.finish()
}
