package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

func TestParseIPv6FromLinux(t *testing.T) {
	b := unhex(t, linuxSYN6)
	got, _ := mustParse(t, b)
	want := IP{
		Src: addr("2001:db8::1"), Dst: addr("2001:db8::9"), HeaderLen: 40, TotalLen: 80,
		Protocol: TCP, TTL: 64, FlowLabel: 0xe4e5e,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	again := make([]byte, IPv6HeaderLen)
	if n := PutIP(again, &got, 40); n != IPv6HeaderLen || !bytes.Equal(again, b[:n]) {
		t.Errorf("built % x, Linux wrote % x", again, b[:n])
	}
}

// extension is one extension header: its type, and its bytes from the third on.
type extension struct {
	kind byte
	rest []byte
}

var (
	hopByHop    = extension{extHopByHop, []byte{1, 4, 0, 0, 0, 0}}                      // PadN
	destination = extension{extDestination, []byte{0, 0, 1, 2, 0, 0}}                   // Pad1, Pad1, PadN
	arrived     = extension{extRouting, []byte{4, 0, 0, 0, 0, 0}}                       // no segments left
	underway    = extension{extRouting, []byte{4, 1, 0, 0, 0, 0}}                       // one left
	atomic      = extension{extFragment, []byte{0, 0, 0, 0, 0, 7}}                      // RFC 6946
	first       = extension{extFragment, []byte{0, 1, 0, 0, 0, 7}}                      //
	later       = extension{extFragment, []byte{0, 8, 0xab, 0xcd, 0x12, 7}}             // offset 8, the last
	long        = extension{extDestination, append([]byte{1, 12}, make([]byte, 12)...)} // 16 bytes
)

// ipv6Packet builds a packet with extension headers before a TCP header's worth of payload.
func ipv6Packet(payload int, extensions ...extension) []byte {
	var chain []byte
	for i, e := range extensions {
		next := byte(TCP)
		if i+1 < len(extensions) {
			next = extensions[i+1].kind
		}
		length := byte((len(e.rest) + 2 - 8) / 8)
		if e.kind == extFragment {
			length = 0 // reserved
		}
		chain = append(append(chain, next, length), e.rest...)
	}
	b := make([]byte, IPv6HeaderLen+len(chain)+payload)
	ip := IP{Src: addr("2001:db8::1"), Dst: addr("2001:db8::2"), Protocol: TCP, TTL: 64}
	if len(extensions) > 0 {
		ip.Protocol = Protocol(extensions[0].kind)
	}
	PutIP(b, &ip, len(chain)+payload)
	copy(b[IPv6HeaderLen:], chain)
	return b
}

func TestParseIPv6Extensions(t *testing.T) {
	tests := []struct {
		name       string
		extensions []extension
		want       Problem
		headerLen  int
	}{
		{"none", nil, None, 40},
		{"one of each", []extension{hopByHop, destination, arrived, atomic, destination}, None, 80},
		{"longer one", []extension{long}, None, 56},
		{"as many as allowed", slices.Repeat([]extension{destination}, maxExtensionHeaders), None, 104},
		{"one too many", slices.Repeat([]extension{destination}, maxExtensionHeaders+1), BadExtensionHeader, 0},
		{"hop-by-hop not first", []extension{destination, hopByHop}, BadExtensionHeader, 0},
		{"hop-by-hop twice", []extension{hopByHop, hopByHop}, BadExtensionHeader, 0},
		{"segments left", []extension{underway}, SourceRouted, 0},
		{"first fragment", []extension{first}, None, 48},
		{"fragment of a fragment", []extension{first, later}, BadExtensionHeader, 0},
		{"router alert is skipped", []extension{{extHopByHop, []byte{5, 2, 0, 0, 1, 0}}}, None, 48},
		{"option to skip", []extension{{extDestination, []byte{0x1e, 4, 0, 0, 0, 0}}}, None, 48},
		{"option to discard", []extension{{extDestination, []byte{0x5e, 4, 0, 0, 0, 0}}}, BadOption, 0},
		{"option to report", []extension{{extDestination, []byte{0x9e, 4, 0, 0, 0, 0}}}, BadOption, 0},
		{"jumbo payload", []extension{{extHopByHop, []byte{0xc2, 4, 0, 1, 0, 0}}}, BadOption, 0},
		{"option beyond its header", []extension{{extDestination, []byte{1, 5, 0, 0, 0, 0}}}, BadExtensionHeader, 0},
		{"option cut off", []extension{{extDestination, []byte{1, 3, 0, 0, 0, 1}}}, BadExtensionHeader, 0},
	}
	for _, test := range tests {
		var ip IP
		got := ParseIP(ipv6Packet(24, test.extensions...), &ip)
		if got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if got == None && (ip.HeaderLen != test.headerLen || ip.Protocol != TCP || ip.PayloadLen() != 24) {
			t.Errorf("%s: %+v", test.name, ip)
		}
	}
}

func TestParseIPv6LaterFragment(t *testing.T) {
	// What a fragment carries is not to be walked, whatever its next header says: offsets count from there.
	var ip IP
	if p := ParseIP(ipv6Packet(24, first, destination), &ip); p != None || ip.HeaderLen != 48 || ip.Protocol != extDestination {
		t.Errorf("first fragment: %v, %+v", p, ip)
	}
	b := ipv6Packet(24, later, destination)
	if p := ParseIP(b, &ip); p != None {
		t.Fatal(p)
	}
	if ip.FragmentOffset != 8 || ip.MoreFragments || ip.ID != 0xabcd1207 || ip.HeaderLen != 48 || ip.Protocol != extDestination {
		t.Errorf("%+v", ip)
	}
	if p := ParseIP(ipv6Packet(23, first), &ip); p != BadFragment {
		t.Errorf("first fragment not of whole words: %v", p)
	}
	end := extension{extFragment, []byte{0xff, 0xf8, 0, 0, 0, 7}}
	if p := ParseIP(ipv6Packet(24, end), &ip); p != BadFragment {
		t.Errorf("fragment beyond 65,535 bytes: %v", p)
	}
}

func TestParseIPv6Lengths(t *testing.T) {
	b := ipv6Packet(24, destination)
	var ip IP
	binary.BigEndian.PutUint16(b[4:], 7)
	if p := ParseIP(b, &ip); p != BadLength {
		t.Errorf("extension header beyond the packet: %v", p)
	}
	binary.BigEndian.PutUint16(b[4:], 8)
	if p := ParseIP(b, &ip); p != None || ip.PayloadLen() != 0 {
		t.Errorf("packet of headers alone: %v, %+v", p, ip)
	}
	b[IPv6HeaderLen+1] = 255
	if p := ParseIP(b, &ip); p != Truncated {
		t.Errorf("extension header beyond the buffer: %v", p)
	}
	for n := IPv6HeaderLen; n < IPv6HeaderLen+8; n++ {
		for _, e := range []extension{hopByHop, destination, arrived, atomic} {
			if p := ParseIP(ipv6Packet(24, e)[:n], &ip); p != Truncated {
				t.Errorf("%d bytes with extension %d: %v", n, e.kind, p)
			}
		}
	}
}

func TestMappedAddressIsNotTakenFromThePacket(t *testing.T) {
	mapped := addr("::ffff:10.0.0.1").As16()
	for _, offset := range []int{8, 24} {
		b := ipv6Packet(24)
		copy(b[offset:], mapped[:])
		var ip IP
		if p := ParseIP(b, &ip); p != BadAddress {
			t.Errorf("at byte %d: %v", offset, p)
		}
	}
}
