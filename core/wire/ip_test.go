package wire

import (
	"math/rand/v2"
	"testing"
)

func TestParseIPOfOddBuffers(t *testing.T) {
	tests := []struct {
		name, packet string
		want         Problem
	}{
		{"nothing", "", Truncated},
		{"version 0", "0500", BadVersion},
		{"version 5", "5500", BadVersion},
		{"version 15", "ff", BadVersion},
		{"one byte of IPv4", "45", Truncated},
		{"one byte of IPv6", "60", Truncated},
	}
	for _, test := range tests {
		var ip IP
		if got := ParseIP(unhex(t, test.packet), &ip); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func randomIP(r *rand.Rand) IP {
	src, dst := randomAddrs(r)
	ip := IP{
		Src: src, Dst: dst, Protocol: TCP,
		TTL: uint8(r.Uint32()), TrafficClass: uint8(r.Uint32()),
	}
	if !src.Is4() {
		ip.FlowLabel = r.Uint32() & 0xfffff
		return ip
	}
	ip.ID = uint32(uint16(r.Uint32()))
	ip.DontFragment = r.IntN(2) == 0
	ip.MoreFragments = r.IntN(2) == 0
	ip.FragmentOffset = r.IntN(100) * 8
	return ip
}

func TestPutIPParsesBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		ip := randomIP(r)
		payload := 8 * (1 + r.IntN(7000))
		b := make([]byte, IPv6HeaderLen+payload)
		n := PutIP(b, &ip, payload)
		ip.HeaderLen, ip.TotalLen = n, n+payload
		var got IP
		if p := ParseIP(b, &got); p != None || got != ip {
			t.Fatalf("built %+v, parsed %+v: %v", ip, got, p)
		}
		if got.PayloadLen() != payload {
			t.Fatalf("payload of %d bytes, built with %d", got.PayloadLen(), payload)
		}
	}
}

func TestParseIPSplit(t *testing.T) {
	for _, vector := range []string{linuxSYN4, linuxSYN6} {
		b := unhex(t, vector)
		var ip IP
		want, _ := mustParse(t, b)
		for cut := want.HeaderLen; cut <= len(b); cut++ {
			if p := ParseIPSplit(b[:cut], len(b)-cut, &ip); p != None || ip != want {
				t.Fatalf("cut at %d: %v, %+v", cut, p, ip)
			}
			if p := ParseIPSplit(b[:cut], len(b)-cut-1, &ip); p != Truncated {
				t.Fatalf("cut at %d with a byte missing: %v", cut, p)
			}
		}
		if p := ParseIPSplit(b[:want.HeaderLen-1], len(b), &ip); p != Truncated {
			t.Fatalf("header not whole: %v", p)
		}
	}
}

func TestParseIPIgnoresBytesBehindThePacket(t *testing.T) {
	for _, vector := range []string{linuxSYN4, linuxSYN6} {
		b := unhex(t, vector)
		ip, _ := mustParse(t, append(b, 1, 2, 3))
		if ip.TotalLen != len(b) {
			t.Errorf("%d bytes, want %d", ip.TotalLen, len(b))
		}
	}
}

func TestParseIPOfTruncatedPackets(t *testing.T) {
	for _, vector := range []string{linuxSYN4, linuxSYN6} {
		b := unhex(t, vector)
		for n := range b {
			var ip IP
			if p := ParseIP(b[:n], &ip); p != Truncated {
				t.Errorf("%d of %d bytes: %v", n, len(b), p)
			}
		}
	}
}

func TestSourceMustNotBeAGroup(t *testing.T) {
	for _, src := range []string{"224.0.0.1", "255.255.255.255", "ff02::1"} {
		dst := addr("10.0.0.1")
		if !addr(src).Is4() {
			dst = addr("2001:db8::1")
		}
		b := make([]byte, 60)
		n := PutIP(b, &IP{Src: addr(src), Dst: dst, Protocol: TCP}, 20)
		var ip IP
		if p := ParseIP(b[:n+20], &ip); p != BadAddress {
			t.Errorf("from %s: %v", src, p)
		}
	}
}

func TestECN(t *testing.T) {
	for class, want := range map[uint8]ECN{0xfc: NotECT, 0xfd: ECT1, 0xfe: ECT0, 0xff: CE} {
		ip := IP{TrafficClass: class}
		if got := ip.ECN(); got != want {
			t.Errorf("traffic class %#x: %d, want %d", class, got, want)
		}
	}
}

func TestPutIPRefusesWhatNoPacketCanBe(t *testing.T) {
	v4, v6 := addr("10.0.0.1"), addr("2001:db8::1")
	tests := map[string]struct {
		ip      IP
		payload int
	}{
		"mixed families":     {IP{Src: v4, Dst: v6}, 0},
		"IPv4 too long":      {IP{Src: v4, Dst: v4}, MaxPacketLen - IPv4HeaderLen + 1},
		"IPv6 too long":      {IP{Src: v6, Dst: v6}, MaxPacketLen + 1},
		"negative length":    {IP{Src: v6, Dst: v6}, -1},
		"IPv4 of no length":  {IP{Src: v4, Dst: v4}, -1},
		"fragmented IPv6":    {IP{Src: v6, Dst: v6, MoreFragments: true}, 8},
		"IPv6 second in row": {IP{Src: v6, Dst: v6, FragmentOffset: 8}, 8},
	}
	for name, test := range tests {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: built", name)
				}
			}()
			PutIP(make([]byte, 100), &test.ip, test.payload)
		}()
	}
}

func TestIPDoesNotAllocate(t *testing.T) {
	for _, vector := range []string{linuxSYN4, linuxSYN6} {
		b := unhex(t, vector)
		var ip IP
		allocs := testing.AllocsPerRun(100, func() {
			if ParseIP(b, &ip) != None {
				t.Fatal("not accepted")
			}
			PutIP(b, &ip, ip.PayloadLen())
		})
		if allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	}
}

func TestParseIPLeavesNothingBehind(t *testing.T) {
	packets := [][]byte{
		unhex(t, linuxSYN4), unhex(t, linuxSYN6), ipv6Packet(24, later), ipv6Packet(24, hopByHop),
		ipv4Packet(nil, func(b []byte) { b[1], b[6], b[7] = 0xff, 0x60, 9 }),
	}
	for _, first := range packets {
		for _, second := range packets {
			var reused, fresh IP
			ParseIP(first, &reused)
			ParseIP(second, &reused)
			ParseIP(second, &fresh)
			if reused != fresh {
				t.Errorf("parsed over another %+v, afresh %+v", reused, fresh)
			}
		}
	}
}
