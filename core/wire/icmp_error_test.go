package wire

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/MUCZ/Starfish/core/seqnum"
)

func TestParseICMPErrorFromLinux(t *testing.T) {
	quote4 := ICMPError{Src: addr("192.0.2.9"), Dst: addr("198.51.100.9"), SrcPort: 40000, DstPort: 443, Seq: 0x01020304}
	quote6 := ICMPError{Src: addr("2001:db8::9"), Dst: addr("2001:db8:1::9"), SrcPort: 40000, DstPort: 443, Seq: 0x01020304}
	tests := []struct {
		name, packet string
		quote        ICMPError
		kind         ErrorKind
		mtu          int
	}{
		{"time exceeded, IPv4", linuxTimeExceeded4, quote4, TimeExceeded, 0},
		{"time exceeded, IPv6", linuxTimeExceeded6, quote6, TimeExceeded, 0},
		{"too big, IPv4", linuxTooBig4, quote4, PacketTooBig, 1400},
		{"too big, IPv6", linuxTooBig6, quote6, PacketTooBig, 1400},
	}
	for _, test := range tests {
		ip, b := mustParse(t, unhex(t, test.packet))
		want := test.quote
		want.Kind, want.MTU = test.kind, test.mtu
		var got ICMPError
		if p := ParseICMPError(&ip, b, &got); p != None || got != want {
			t.Errorf("%s: %v, %+v, want %+v", test.name, p, got, want)
		}
	}
}

// quotedSegment is the least that an error about a TCP segment of ours quotes: the network header and 8 bytes.
func quotedSegment(src, dst Addr) []byte {
	b := make([]byte, networkHeaderLen(src)+8)
	n := PutIP(b, &IP{Src: src, Dst: dst, Protocol: TCP, TTL: 3}, 1480)
	binary.BigEndian.PutUint16(b[n:], 40000)
	binary.BigEndian.PutUint16(b[n+2:], 443)
	binary.BigEndian.PutUint32(b[n+4:], 0xfffffff0)
	return b
}

func parseError(t *testing.T, packet []byte) (ICMPError, Problem) {
	t.Helper()
	ip, b := mustParse(t, packet)
	var e ICMPError
	p := ParseICMPError(&ip, b, &e)
	return e, p
}

func TestICMPErrorKinds(t *testing.T) {
	us4, us6 := addr("10.0.0.1"), addr("2001:db8::1")
	const n, h, a = NetUnreachable, HostUnreachable, AdminProhibited
	tests := []struct {
		us    Addr
		typ   uint8
		codes []ErrorKind // by code; 0 is ignored
	}{
		{us4, ICMPUnreachable, []ErrorKind{n, h, ProtocolUnreachable, PortUnreachable, PacketTooBig, h, n, h, h, a, a, n, h, a, a, a, 0, 0}},
		{us4, ICMPTimeExceeded, []ErrorKind{TimeExceeded, TimeExceeded}},
		{us4, ICMPParameterProblem, []ErrorKind{ParameterProblem, ParameterProblem}},
		{us4, ICMPSourceQuench, []ErrorKind{0}}, // RFC 6633 §4
		{us4, ICMPRedirect, []ErrorKind{0, 0}},
		{us4, ICMPEchoReply, []ErrorKind{0}},
		{us4, 255, []ErrorKind{0}},
		{us6, ICMPv6Unreachable, []ErrorKind{n, a, h, h, PortUnreachable, a, a, 0, 0}},
		{us6, ICMPv6PacketTooBig, []ErrorKind{PacketTooBig}},
		{us6, ICMPv6TimeExceeded, []ErrorKind{TimeExceeded, TimeExceeded}},
		{us6, ICMPv6ParameterProblem, []ErrorKind{ParameterProblem, ProtocolUnreachable, ParameterProblem}},
		{us6, ICMPv6EchoRequest, []ErrorKind{0}},
		{us6, ICMPEchoRequest, []ErrorKind{0}},
	}
	for _, test := range tests {
		router := addr("10.9.9.9")
		if !test.us.Is4() {
			router = addr("2001:db8:9::9")
		}
		for code, want := range test.codes {
			e, p := parseError(t, icmpPacket(router, test.us, test.typ, uint8(code), 1300, quotedSegment(test.us, router)))
			if want == 0 {
				if p != IgnoredType {
					t.Errorf("type %d code %d: %v", test.typ, code, p)
				}
				continue
			}
			wantMTU := 0
			if want == PacketTooBig {
				wantMTU = 1300
			}
			if p != None || e.Kind != want || e.MTU != wantMTU || e.Src != test.us || e.Seq != seqnum.Value(0xfffffff0) {
				t.Errorf("type %d code %d: %v, %+v, want %v", test.typ, code, p, e, want)
			}
		}
	}
}

func TestICMPErrorQuotes(t *testing.T) {
	us, router := addr("10.0.0.1"), addr("10.9.9.9")
	us6, router6 := addr("2001:db8::1"), addr("2001:db8:9::9")
	edit := func(us, router Addr, f func(b []byte) []byte) []byte {
		typ := uint8(ICMPTimeExceeded)
		if !us.Is4() {
			typ = ICMPv6TimeExceeded
		}
		return icmpPacket(router, us, typ, 0, 0, f(quotedSegment(us, router)))
	}
	tests := []struct {
		name   string
		packet []byte
		want   Problem
	}{
		{"checksum not fixed up", edit(us, router, func(b []byte) []byte { b[8]--; return b }), None},
		{"length of the host's order", edit(us, router, func(b []byte) []byte { b[2], b[3] = b[3], b[2]; return b }), None},
		{"length 0", edit(us, router, func(b []byte) []byte { b[2], b[3] = 0, 0; return b }), None},
		{"7 bytes of TCP", edit(us, router, func(b []byte) []byte { return b[:len(b)-1] }), Truncated},
		{"half a header", edit(us, router, func(b []byte) []byte { return b[:10] }), Truncated},
		{"nothing", edit(us, router, func([]byte) []byte { return nil }), Truncated},
		{"UDP", edit(us, router, func(b []byte) []byte { b[9] = 17; return b }), NotTCP},
		{"later fragment", edit(us, router, func(b []byte) []byte { b[7] = 1; return b }), NotTCP},
		{"first fragment", edit(us, router, func(b []byte) []byte { b[6] = 0x20; return b }), None},
		{"header of 4 bytes", edit(us, router, func(b []byte) []byte { b[0] = 0x41; return b }), BadHeaderLen},
		{"IPv6 in IPv4", edit(us, router, func([]byte) []byte { return quotedSegment(us6, router6) }), BadVersion},
		{"IPv4 in IPv6", edit(us6, router6, func([]byte) []byte { return quotedSegment(us, router) }), BadVersion},
		{"version 0", edit(us, router, func(b []byte) []byte { b[0] = 5; return b }), BadVersion},
		{"IPv6 with 8 bytes of TCP", edit(us6, router6, func(b []byte) []byte { return b }), None},
		{"IPv6 with 7", edit(us6, router6, func(b []byte) []byte { return b[:len(b)-1] }), Truncated},
		{"IPv6 with an extension header", edit(us6, router6, func([]byte) []byte { return ipv6Packet(8, destination) }), None},
		{"cut in an extension header", edit(us6, router6, func([]byte) []byte { return ipv6Packet(8, long)[:50] }), Truncated},
	}
	for _, test := range tests {
		if _, p := parseError(t, test.packet); p != test.want {
			t.Errorf("%s: %v, want %v", test.name, p, test.want)
		}
	}
}

func TestICMPErrorWithBadChecksum(t *testing.T) {
	ip, b := mustParse(t, unhex(t, linuxTooBig4))
	b[7]++
	var e ICMPError
	if p := ParseICMPError(&ip, b, &e); p != BadChecksum {
		t.Error(p)
	}
}

func TestPutICMPErrorParsesBack(t *testing.T) {
	for _, families := range [][2]Addr{{addr("10.0.0.1"), addr("10.9.9.9")}, {addr("2001:db8::1"), addr("2001:db8:9::9")}} {
		us, them := families[0], families[1]
		for kind := NetUnreachable; kind < numErrorKinds; kind++ {
			for _, payload := range []int{20, 21, 500, 1400} {
				packet := make([]byte, networkHeaderLen(us)+payload)
				n := PutIP(packet, &IP{Src: us, Dst: them, Protocol: TCP, TTL: 1}, payload)
				PutSegment(packet[n:], &Segment{SrcPort: 1, DstPort: 2, Seq: 3})
				out := make([]byte, maxICMPError6)
				out = out[:PutICMPError(out, them, kind, 1300, packet)]
				e, p := parseError(t, out)
				want := ICMPError{Kind: kind, Src: us, Dst: them, SrcPort: 1, DstPort: 2, Seq: 3}
				if kind == PacketTooBig {
					want.MTU = 1300
				}
				if p != None || e != want {
					t.Errorf("%v of %d bytes: %v, %+v", kind, payload, p, e)
				}
				if limit := maxICMPError4; us.Is4() && len(out) > limit {
					t.Errorf("%d bytes", len(out))
				}
			}
		}
	}
}

func TestPutICMPErrorAsLinux(t *testing.T) {
	for _, vector := range []string{linuxTimeExceeded4, linuxTooBig6} {
		want := unhex(t, vector)
		ip, b := mustParse(t, want)
		var m ICMPMessage
		if p := ParseICMP(&ip, b, &m); p != None {
			t.Fatal(p)
		}
		kind, mtu := TimeExceeded, 0
		if m.Type == ICMPv6PacketTooBig {
			kind, mtu = PacketTooBig, 1400
		}
		out := make([]byte, maxICMPError6)
		out = out[:PutICMPError(out, ip.Src, kind, mtu, m.Body)]
		if _, got := mustParse(t, out); !bytes.Equal(got, b) {
			t.Errorf("built\n% x, Linux wrote\n% x", got, b)
		}
	}
}

func TestNoICMPErrorAbout(t *testing.T) {
	us, them := addr("10.0.0.1"), addr("10.9.9.9")
	us6, them6 := addr("2001:db8::1"), addr("2001:db8:9::9")
	packet := func(ip IP, firstByte uint8) []byte {
		b := make([]byte, 60)
		n := PutIP(b, &ip, 20)
		b[n] = firstByte
		return b[:n+20]
	}
	tests := []struct {
		name   string
		from   Addr
		packet []byte
	}{
		{"a later fragment", us, packet(IP{Src: them, Dst: us, Protocol: TCP, FragmentOffset: 8}, 0)},
		{"a packet to a group", us, packet(IP{Src: them, Dst: addr("224.0.0.1"), Protocol: TCP}, 0)},
		{"a packet from nobody", us, packet(IP{Src: addr("0.0.0.0"), Dst: us, Protocol: TCP}, 0)},
		{"unreachable", us, packet(IP{Src: them, Dst: us, Protocol: ICMP}, ICMPUnreachable)},
		{"a redirect", us, packet(IP{Src: them, Dst: us, Protocol: ICMP}, ICMPRedirect)},
		{"an ICMP packet cut before its type", us, packet(IP{Src: them, Dst: us, Protocol: ICMP}, 8)[:20]},
		{"time exceeded", us6, packet(IP{Src: them6, Dst: us6, Protocol: ICMPv6}, ICMPv6TimeExceeded)},
		{"the other family", us6, packet(IP{Src: them, Dst: us, Protocol: TCP}, 0)},
		{"no packet", us, nil},
	}
	for _, test := range tests {
		if n := PutICMPError(make([]byte, 1280), test.from, PortUnreachable, 0, test.packet); n != 0 {
			t.Errorf("%s: %d bytes", test.name, n)
		}
	}
	for _, ok := range [][]byte{
		packet(IP{Src: them, Dst: us, Protocol: ICMP}, ICMPEchoRequest),
		packet(IP{Src: them, Dst: us, Protocol: TCP}, 0),
	} {
		if PutICMPError(make([]byte, 68), us, PortUnreachable, 0, ok) != 68 {
			t.Error("no error where one is due")
		}
		if PutICMPError(make([]byte, 67), us, PortUnreachable, 0, ok) != 0 {
			t.Error("written beyond the buffer")
		}
	}
}

func TestErrorKindNames(t *testing.T) {
	seen := map[string]bool{}
	for k := NetUnreachable; k < numErrorKinds; k++ {
		if name := k.String(); name == "" || seen[name] {
			t.Errorf("kind %d is named %q", k, name)
		} else {
			seen[name] = true
		}
	}
	if got := ErrorKind(0).String(); got != "error kind 0" {
		t.Error(got)
	}
}
