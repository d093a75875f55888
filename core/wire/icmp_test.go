package wire

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// icmpPacket builds a packet with an ICMP message from the other end to us.
func icmpPacket(src, dst Addr, typ, code uint8, rest uint32, body []byte) []byte {
	b := make([]byte, networkHeaderLen(src)+ICMPHeaderLen+len(body))
	copy(b[networkHeaderLen(src)+ICMPHeaderLen:], body)
	putICMP(b, &IP{Src: src, Dst: dst, Protocol: icmpOf(src), TTL: 64}, typ, code, rest, ICMPHeaderLen+len(body))
	return b
}

func TestParseICMPFromLinux(t *testing.T) {
	ip, b := mustParse(t, unhex(t, linuxEchoReply4))
	var m ICMPMessage
	if p := ParseICMP(&ip, b, &m); p != None {
		t.Fatal(p)
	}
	if m.Type != ICMPEchoReply || m.Code != 0 || m.Rest != 0x12340001 || string(m.Body) != "starfish!" {
		t.Errorf("%+v", m)
	}
	ip, b = mustParse(t, unhex(t, linuxTimeExceeded6))
	if p := ParseICMP(&ip, b, &m); p != None || m.Type != ICMPv6TimeExceeded {
		t.Errorf("%v, %+v", p, m)
	}
}

func TestParseICMPProblems(t *testing.T) {
	for _, vector := range []string{linuxEchoReply4, linuxTimeExceeded6} {
		var m ICMPMessage
		ip, b := mustParse(t, unhex(t, vector))
		for bit := range len(b) * 8 {
			b[bit/8] ^= 1 << (bit % 8)
			if p := ParseICMP(&ip, b, &m); p != BadChecksum {
				t.Errorf("bit %d of byte %d flipped: %v", bit%8, bit/8, p)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		if p := ParseICMP(&ip, append(bytes.Clone(b), 1, 2, 3), &m); p != None {
			t.Errorf("bytes behind the packet: %v", p)
		}
		if p := ParseICMP(&ip, b[:len(b)-1], &m); p != Truncated {
			t.Errorf("a byte missing: %v", p)
		}
		other := ip
		other.Protocol = TCP
		if p := ParseICMP(&other, b, &m); p != NotICMP {
			t.Errorf("TCP: %v", p)
		}
		other = ip
		other.TotalLen = other.HeaderLen + 7
		if p := ParseICMP(&other, b, &m); p != Truncated {
			t.Errorf("7 bytes: %v", p)
		}
	}
	// ICMPv6 in IPv4 and the reverse are nobody's.
	var m ICMPMessage
	ip := IP{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), Protocol: ICMPv6, TotalLen: 28, HeaderLen: 20}
	if p := ParseICMP(&ip, make([]byte, 8), &m); p != NotICMP {
		t.Errorf("ICMPv6 in IPv4: %v", p)
	}
}

func TestPutEchoReplyAsLinux(t *testing.T) {
	request := icmpPacket(addr("192.0.2.9"), addr("192.0.2.1"), ICMPEchoRequest, 0, 0x12340001, []byte("starfish!"))
	ip, b := mustParse(t, request)
	got := make([]byte, 100)
	got = got[:PutEchoReply(got, &ip, b)]
	gotIP, gotMessage := mustParse(t, got)
	_, want := mustParse(t, unhex(t, linuxEchoReply4))
	if !bytes.Equal(gotMessage, want) {
		t.Errorf("% x, Linux wrote % x", gotMessage, want)
	}
	if gotIP.Src != ip.Dst || gotIP.Dst != ip.Src || gotIP.Protocol != ICMP || gotIP.TTL != DefaultTTL {
		t.Errorf("%+v", gotIP)
	}
}

func TestPutEchoReplyOfAnySize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		src, dst := randomAddrs(r)
		typ, reply := uint8(ICMPEchoRequest), uint8(ICMPEchoReply)
		if !src.Is4() {
			typ, reply = ICMPv6EchoRequest, ICMPv6EchoReply
		}
		body, rest := randomBytes(r, r.IntN(3000)), r.Uint32()
		ip, b := mustParse(t, icmpPacket(src, dst, typ, 0, rest, body))
		ip.TrafficClass = 0xbb
		out := make([]byte, 4000)
		n := PutEchoReply(out, &ip, b)
		replyIP, replyMessage := mustParse(t, out[:n])
		var m ICMPMessage
		if p := ParseICMP(&replyIP, replyMessage, &m); p != None {
			t.Fatal(p)
		}
		if m.Type != reply || m.Code != 0 || m.Rest != rest || !bytes.Equal(m.Body, body) {
			t.Fatalf("answered %+v", m)
		}
		if replyIP.Src != dst || replyIP.Dst != src || replyIP.TrafficClass != 0xb8 {
			t.Fatalf("%+v", replyIP)
		}
		if PutEchoReply(out[:n-1], &ip, b) != 0 || PutEchoReply(out[:n], &ip, b) != n {
			t.Fatal("the bound of the buffer is wrong")
		}
	}
}

func TestNoEchoReply(t *testing.T) {
	us, them := addr("10.0.0.1"), addr("10.0.0.2")
	echo := func(typ, code uint8) []byte { return []byte{typ, code, 0, 0, 0, 1, 0, 1} }
	tests := []struct {
		name     string
		src, dst Addr
		icmp     []byte
	}{
		{"reply", them, us, echo(ICMPEchoReply, 0)},
		{"code 1", them, us, echo(ICMPEchoRequest, 1)},
		{"IPv6's type in IPv4", them, us, echo(ICMPv6EchoRequest, 0)},
		{"IPv4's type in IPv6", addr("fe80::1"), addr("fe80::2"), echo(ICMPEchoRequest, 0)},
		{"7 bytes", them, us, echo(ICMPEchoRequest, 0)[:7]},
		{"to a group", them, addr("224.0.0.1"), echo(ICMPEchoRequest, 0)},
		{"to everyone", them, addr("255.255.255.255"), echo(ICMPEchoRequest, 0)},
		{"from nobody", addr("0.0.0.0"), us, echo(ICMPEchoRequest, 0)},
		{"to a group of IPv6", addr("fe80::1"), addr("ff02::1"), echo(ICMPv6EchoRequest, 0)},
		{"longer than a packet", them, us, append(echo(ICMPEchoRequest, 0), make([]byte, MaxPacketLen)...)},
	}
	for _, test := range tests {
		ip := IP{Src: test.src, Dst: test.dst, Protocol: icmpOf(test.src)}
		if n := PutEchoReply(make([]byte, 70_000), &ip, test.icmp); n != 0 {
			t.Errorf("%s: answered with %d bytes", test.name, n)
		}
	}
}

func TestICMPDoesNotAllocate(t *testing.T) {
	request := icmpPacket(addr("192.0.2.9"), addr("192.0.2.1"), ICMPEchoRequest, 0, 1, make([]byte, 56))
	failure := unhex(t, linuxTimeExceeded6)
	ip, echo := mustParse(t, request)
	errorIP, message := mustParse(t, failure)
	out := make([]byte, 1500)
	allocs := testing.AllocsPerRun(100, func() {
		var m ICMPMessage
		var e ICMPError
		if ParseICMP(&ip, echo, &m) != None || ParseICMPError(&errorIP, message, &e) != None ||
			PutEchoReply(out, &ip, echo) == 0 || PutICMPError(out, ip.Dst, PacketTooBig, 576, unreported) == 0 {
			t.Fatal("not accepted")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// unreported is a TCP packet that an error may be sent about.
var unreported = func() []byte {
	b := make([]byte, 40)
	PutIP(b, &IP{Src: addr("192.0.2.9"), Dst: addr("192.0.2.1"), Protocol: TCP}, 20)
	binary.BigEndian.PutUint32(b[24:], 7)
	return b
}()
