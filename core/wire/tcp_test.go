package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
)

func TestParseSegmentFromLinux(t *testing.T) {
	tests := []struct {
		packet string
		want   Segment
	}{
		{linuxSYN4, Segment{
			SrcPort: 58868, DstPort: 80, Seq: 0xffdea0d1, Flags: SYN, Window: 64240, HeaderLen: 40,
			Options: Options{
				Set: OptMSS | OptSACKPermitted | OptTimestamps | OptWindowScale,
				MSS: 1460, TSVal: 0xfda64d35, WindowScale: 10,
			},
		}},
		{linuxSYN6, Segment{
			SrcPort: 60040, DstPort: 80, Seq: 0xa3ea8c61, Flags: SYN, Window: 64800, HeaderLen: 40,
			Options: Options{
				Set: OptMSS | OptSACKPermitted | OptTimestamps | OptWindowScale,
				MSS: 1440, TSVal: 0x4aeb62b2, WindowScale: 10,
			},
		}},
	}
	for _, test := range tests {
		ip, b := mustParse(t, unhex(t, test.packet))
		var got Segment
		if p := ParseSegment(b, &got); p != None || got != test.want {
			t.Errorf("%v: %+v, want %+v", p, got, test.want)
		}
		if !ChecksumOK(ip.Src, ip.Dst, TCP, b, nil) {
			t.Error("Linux's checksum rejected")
		}
		again := bytes.Repeat([]byte{0xaa}, 60)
		n := PutSegment(again, &got)
		b[TCPChecksumOffset], b[TCPChecksumOffset+1] = 0, 0
		if !bytes.Equal(again[:n], b) {
			t.Errorf("built\n% x, Linux wrote\n% x", again[:n], b)
		}
	}
}

func TestParseSegmentProblems(t *testing.T) {
	header := func(offset byte) []byte {
		b := make([]byte, 60)
		b[12] = offset << 4
		return b
	}
	tests := []struct {
		name   string
		header []byte
		want   Problem
	}{
		{"nothing", nil, Truncated},
		{"19 bytes", header(5)[:19], Truncated},
		{"20 bytes", header(5)[:20], None},
		{"60 bytes", header(15), None},
		{"offset 0", header(0), BadHeaderLen},
		{"offset 4", header(4), BadHeaderLen},
		{"header beyond the buffer", header(15)[:59], BadHeaderLen},
	}
	for _, test := range tests {
		var s Segment
		if got := ParseSegment(test.header, &s); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestParseSegmentIgnoresReservedBits(t *testing.T) {
	b := make([]byte, 20)
	b[12], b[13] = 5<<4|0xe, byte(ACK)
	var s Segment
	if p := ParseSegment(b, &s); p != None || s.Flags != ACK {
		t.Errorf("%v, flags %v", p, s.Flags)
	}
	PutSegment(b, &Segment{Flags: 0xffff})
	if b[12] != 5<<4|1 || b[13] != 0xff {
		t.Errorf("flags written as % x", b[12:14])
	}
}

func randomSegment(r *rand.Rand) Segment {
	return Segment{
		SrcPort: uint16(r.Uint32()), DstPort: uint16(r.Uint32()),
		Seq: seqnum.Value(r.Uint32()), Ack: seqnum.Value(r.Uint32()),
		Flags: Flags(r.Uint32()) & flagsMask, Window: uint16(r.Uint32()), Urgent: uint16(r.Uint32()),
		Options: randomOptions(r),
	}
}

func TestPutSegmentParsesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		s := randomSegment(r)
		b := bytes.Repeat([]byte{0xaa}, MaxTCPHeaderLen+10)
		n := PutSegment(b, &s)
		if n != TCPHeaderLen+s.Options.WireLen() || n > MaxTCPHeaderLen || n%4 != 0 || b[n] != 0xaa {
			t.Fatalf("%+v: wrote %d bytes", s, n)
		}
		want := s
		want.HeaderLen = n
		want.Options = whatFits(s.Options)
		var got Segment
		if p := ParseSegment(b, &got); p != None || got != want {
			t.Fatalf("%v: parsed\n%+v, built\n%+v", p, got, want)
		}
	}
}

func TestParseSegmentLeavesNothingBehind(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, MaxTCPHeaderLen)
	for range 5000 {
		first, second := randomSegment(r), randomSegment(r)
		var reused, fresh Segment
		PutSegment(b, &first)
		ParseSegment(b, &reused)
		PutSegment(b, &second)
		ParseSegment(b, &reused)
		ParseSegment(b, &fresh)
		if reused != fresh {
			t.Fatalf("parsed over another %+v, afresh %+v", reused, fresh)
		}
	}
}

func TestFlags(t *testing.T) {
	for f, want := range map[Flags]string{0: "none", SYN | ACK: "SYN|ACK", FIN | AE: "FIN|AE", CWR | ECE: "ECE|CWR"} {
		if f.String() != want {
			t.Errorf("%s, want %s", f, want)
		}
	}
	if f := SYN | ACK; !f.Has(SYN) || !f.Has(SYN|ACK) || f.Has(SYN|FIN) || !f.Has(0) {
		t.Error("Has is wrong")
	}
}

func TestSegmentDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	b := make([]byte, MaxTCPHeaderLen)
	s := randomSegment(r)
	allocs := testing.AllocsPerRun(1000, func() {
		PutSegment(b, &s)
		if ParseSegment(b, &s) != None || ChecksumOK(Addr{}, Addr{}, TCP, b[:20], b[20:]) {
			t.Fatal("not parsed")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

var benchmarkSegments = []struct {
	name string
	s    Segment
}{
	{"timestamps", Segment{Flags: ACK, Options: Options{Set: OptTimestamps, TSVal: 1, TSEcr: 2}}},
	{"sack", Segment{Flags: ACK, Options: Options{Set: OptTimestamps | OptSACK, SACKBlocks: 3}}},
	{"syn", Segment{Flags: SYN, Options: Options{Set: OptMSS | OptSACKPermitted | OptTimestamps | OptWindowScale}}},
}

func BenchmarkParseSegment(b *testing.B) {
	for _, bench := range benchmarkSegments {
		b.Run(bench.name, func(b *testing.B) {
			header := make([]byte, MaxTCPHeaderLen)
			header = header[:PutSegment(header, &bench.s)]
			var s Segment
			b.ReportAllocs()
			for b.Loop() {
				ParseSegment(header, &s)
			}
		})
	}
}

func BenchmarkPutSegment(b *testing.B) {
	for _, bench := range benchmarkSegments {
		b.Run(bench.name, func(b *testing.B) {
			header := make([]byte, MaxTCPHeaderLen)
			b.ReportAllocs()
			for b.Loop() {
				PutSegment(header, &bench.s)
			}
		})
	}
}

func BenchmarkParseIP(b *testing.B) {
	for name, vector := range map[string]string{"IPv4": linuxSYN4, "IPv6": linuxSYN6} {
		b.Run(name, func(b *testing.B) {
			packet := unhex(b, vector)
			var ip IP
			b.ReportAllocs()
			for b.Loop() {
				ParseIP(packet, &ip)
			}
		})
	}
}
