package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func FuzzParseIP(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var ip IP
		if p := ParseIP(b, &ip); p != None {
			if p >= NumProblems {
				t.Fatalf("problem %d", p)
			}
			return
		}
		if ip.HeaderLen < IPv4HeaderLen || ip.HeaderLen > ip.TotalLen || ip.TotalLen > len(b) ||
			ip.FragmentOffset < 0 || ip.FragmentOffset+ip.PayloadLen() > IPv6HeaderLen+MaxPacketLen {
			t.Fatalf("%d bytes: %+v", len(b), ip)
		}
		if ip.Src.Is4() != ip.Dst.Is4() || ip.Src.IsMulticast() {
			t.Fatalf("from %v to %v", ip.Src, ip.Dst)
		}
		if !ip.Src.Is4() && ip.IsFragment() {
			return // not built
		}
		// Built again, options and extension headers are gone; everything else is as it was.
		want := ip
		want.HeaderLen = networkHeaderLen(ip.Src)
		want.TotalLen = want.HeaderLen + ip.PayloadLen()
		if !ip.Src.Is4() {
			want.ID = 0
		}
		again := make([]byte, want.TotalLen)
		var got IP
		PutIP(again, &ip, ip.PayloadLen())
		if !ip.Src.Is4() && isExtension(ip.Protocol) {
			t.Fatalf("stopped at extension header %d", ip.Protocol)
		}
		if p := ParseIP(again, &got); p != None || got != want {
			t.Fatalf("%v: parsed\n%+v, built\n%+v", p, got, want)
		}
	})
}

func isExtension(p Protocol) bool {
	return p == extHopByHop || p == extRouting || p == extFragment || p == extDestination
}

func FuzzParseSegment(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Segment
		if p := ParseSegment(b, &s); p != None {
			if p != Truncated && p != BadHeaderLen {
				t.Fatal(p)
			}
			return
		}
		if s.HeaderLen < TCPHeaderLen || s.HeaderLen > min(MaxTCPHeaderLen, len(b)) || s.Flags > flagsMask {
			t.Fatalf("%d bytes: %+v", len(b), s)
		}
		o := &s.Options
		if o.WindowScale > MaxWindowScale || o.SACKBlocks > MaxSACKBlocks || int(o.FastOpenLen) > len(o.FastOpenCookie) ||
			o.Set.Has(OptSACK) != (o.SACKBlocks > 0) {
			t.Fatalf("%+v", o)
		}
		again := make([]byte, MaxTCPHeaderLen)
		want := s
		want.HeaderLen = PutSegment(again, &s)
		want.Options = whatFits(s.Options)
		var got Segment
		if p := ParseSegment(again[:want.HeaderLen], &got); p != None || got != want {
			t.Fatalf("%v: parsed\n%+v, built\n%+v", p, got, want)
		}
	})
}

// FuzzParseICMP takes whole packets, and mends their checksums so that the fuzzer gets behind them.
func FuzzParseICMP(f *testing.F) {
	f.Fuzz(func(t *testing.T, input []byte) {
		packet := bytes.Clone(input) // the fuzzer's own must not change
		mendChecksums(packet)
		var ip IP
		if ParseIP(packet, &ip) != None {
			return
		}
		b := packet[ip.HeaderLen:ip.TotalLen]
		var m ICMPMessage
		if ParseICMP(&ip, b, &m) != None {
			return
		}
		if len(m.Body) != len(b)-ICMPHeaderLen {
			t.Fatalf("body of %d bytes in a message of %d", len(m.Body), len(b))
		}
		out := make([]byte, maxICMPError6)
		if n := PutEchoReply(out, &ip, b); n > 0 {
			replyIP, reply := mustParse(t, out[:n])
			if p := ParseICMP(&replyIP, reply, &m); p != None {
				t.Fatalf("our echo reply: %v", p)
			}
			if PutEchoReply(out, &replyIP, reply) != 0 {
				t.Fatal("a reply is answered")
			}
		}
		var e ICMPError
		if ParseICMPError(&ip, b, &e) != None {
			return
		}
		if e.Kind == 0 || e.Kind >= numErrorKinds || e.MTU < 0 || e.Src.Is4() != ip.Src.Is4() {
			t.Fatalf("%+v", e)
		}
		if n := PutICMPError(out, ip.Dst, PortUnreachable, 0, packet); n != 0 {
			t.Fatal("an error is answered by an error")
		}
	})
}

func mendChecksums(packet []byte) {
	var ip IP
	if parseIPHeader(packet, &ip) != None || ip.TotalLen > len(packet) || ip.PayloadLen() < ICMPHeaderLen {
		return
	}
	if ip.Src.Is4() {
		binary.BigEndian.PutUint16(packet[10:], 0)
		binary.BigEndian.PutUint16(packet[10:], ^Fold(Sum(0, packet[:ip.HeaderLen])))
	}
	b := packet[ip.HeaderLen:ip.TotalLen]
	binary.BigEndian.PutUint16(b[ICMPChecksumOffset:], 0)
	binary.BigEndian.PutUint16(b[ICMPChecksumOffset:], ^Fold(Sum(icmpInitialSum(ip.Src, ip.Dst, len(b)), b)))
}
