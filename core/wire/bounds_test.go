package wire

import "testing"

// The least and the most that each length may be.

func TestEmptyICMPMessages(t *testing.T) {
	us, them := addr("10.0.0.1"), addr("10.9.9.9")
	ip, b := mustParse(t, icmpPacket(them, us, ICMPEchoRequest, 0, 5, nil))
	var m ICMPMessage
	if p := ParseICMP(&ip, b, &m); p != None || m.Rest != 5 || len(m.Body) != 0 {
		t.Errorf("%v, %+v", p, m)
	}
	if n := PutEchoReply(make([]byte, 28), &ip, b); n != 28 {
		t.Errorf("answered with %d bytes", n)
	}
}

func TestICMPErrorAboutTheLeast(t *testing.T) {
	us, them := addr("2001:db8::1"), addr("2001:db8::2")
	echo := icmpPacket(them, us, ICMPv6EchoRequest, 0, 0, nil)
	if n := PutICMPError(make([]byte, 200), us, PortUnreachable, 0, echo); n != 48+len(echo) {
		t.Errorf("about an echo request: %d bytes", n)
	}
	empty := make([]byte, IPv6HeaderLen)
	PutIP(empty, &IP{Src: them, Dst: us, Protocol: 59}, 0)
	if n := PutICMPError(make([]byte, 200), us, ProtocolUnreachable, 0, empty); n != 48+len(empty) {
		t.Errorf("about a packet without payload: %d bytes", n)
	}
}

func TestLargestPackets(t *testing.T) {
	for _, test := range []struct {
		src, dst Addr
		payload  int
	}{
		{addr("10.0.0.1"), addr("10.0.0.2"), MaxPacketLen - IPv4HeaderLen},
		{addr("2001:db8::1"), addr("2001:db8::2"), MaxPacketLen},
		{addr("10.0.0.1"), addr("10.0.0.2"), 0},
		{addr("2001:db8::1"), addr("2001:db8::2"), 0},
	} {
		b := make([]byte, IPv6HeaderLen+MaxPacketLen)
		PutIP(b, &IP{Src: test.src, Dst: test.dst, Protocol: TCP}, test.payload)
		if ip, _ := mustParse(t, b); ip.PayloadLen() != test.payload {
			t.Errorf("%d bytes, want %d", ip.PayloadLen(), test.payload)
		}
	}
}

func TestFragmentThatEndsAtTheLargestLength(t *testing.T) {
	b := make([]byte, IPv4HeaderLen+7)
	ip := IP{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), Protocol: TCP, FragmentOffset: MaxPacketLen - 7}
	PutIP(b, &ip, 7)
	if got, _ := mustParse(t, b); got.FragmentOffset+got.PayloadLen() != MaxPacketLen {
		t.Errorf("%+v", got)
	}
}

func TestHeadersThatEndWithTheirBuffer(t *testing.T) {
	for _, e := range []extension{hopByHop, destination, arrived, atomic, long} {
		if ip, _ := mustParse(t, ipv6Packet(0, e)); ip.PayloadLen() != 0 {
			t.Errorf("extension %d: %+v", e.kind, ip)
		}
	}
	// An option of two bytes, and one that fills the rest, are walked over.
	for _, options := range [][]byte{{0x94, 2, 131, 3}, {7, 2, 7, 2, 137, 3, 4, 1}} {
		var ip IP
		if p := ParseIP(ipv4Packet(options, nil), &ip); p != BadOption {
			t.Errorf("options % x: %v", options, p)
		}
	}
}

func TestRepeatedOptionDoesNotHideWhatFollows(t *testing.T) {
	for _, option := range []string{"050a0000000100000002", "2202", "0402", "030307"} {
		var o Options
		o.parse(unhex(t, option+option+"020405b4"))
		if !o.Set.Has(OptMSS) || o.MSS != 1460 {
			t.Errorf("after two of %s: %+v", option, o)
		}
	}
}
