package wire

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// randomAddrs returns two unicast addresses of one family.
func randomAddrs(r *rand.Rand) (Addr, Addr) {
	if r.IntN(2) == 0 {
		a := func() Addr { return Addr4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}) }
		return a(), a()
	}
	a := func() Addr { return Addr16([16]byte{0: 0x20, 1: 0x01, 7: byte(r.Uint32()), 15: byte(r.Uint32())}) }
	return a(), a()
}

func addr(s string) Addr { return AddrFrom(netip.MustParseAddr(s)) }

func TestAddrConversions(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "1.2.3.4", "255.255.255.255", "::", "::1", "2001:db8::1", "ff02::1", "::1.2.3.4", "64:ff9b::1.2.3.4"} {
		n := netip.MustParseAddr(s)
		a := AddrFrom(n)
		if a.Netip() != n {
			t.Errorf("%s comes back as %v", s, a.Netip())
		}
		if a.String() != n.String() {
			t.Errorf("%s prints as %s", s, a)
		}
		if a.Is4() != n.Is4() {
			t.Errorf("Is4 of %s is %v", s, a.Is4())
		}
		if a.As16() != n.As16() || Addr16(a.As16()) != a {
			t.Errorf("As16 of %s is %v", s, a.As16())
		}
		if n.Is4() && (a.As4() != n.As4() || Addr4(n.As4()) != a) {
			t.Errorf("As4 of %s is %v", s, a.As4())
		}
	}
}

func TestAddrFromOddForms(t *testing.T) {
	if (Addr{}) != addr("::") || AddrFrom(netip.Addr{}) != (Addr{}) {
		t.Error("the zero Addr is not ::")
	}
	if addr("::ffff:1.2.3.4") != addr("1.2.3.4") {
		t.Error("a mapped address differs from the one it maps")
	}
	if addr("fe80::1%eth0") != addr("fe80::1") {
		t.Error("a zone makes a difference")
	}
}

func TestAddrClasses(t *testing.T) {
	tests := []struct {
		addr                                        string
		unspecified, multicast, broadcast, loopback bool
	}{
		{addr: "0.0.0.0", unspecified: true},
		{addr: "::", unspecified: true},
		{addr: "0.0.0.1"},
		{addr: "::2"},
		{addr: "223.255.255.255"},
		{addr: "224.0.0.1", multicast: true},
		{addr: "239.255.255.255", multicast: true},
		{addr: "240.0.0.0"},
		{addr: "255.255.255.255", broadcast: true},
		{addr: "255.255.255.254"},
		{addr: "126.255.255.255"},
		{addr: "127.0.0.1", loopback: true},
		{addr: "127.255.255.255", loopback: true},
		{addr: "128.0.0.0"},
		{addr: "::1", loopback: true},
		{addr: "ff00::", multicast: true},
		{addr: "fe80::1"},
		{addr: "2001:db8::ffff"},
	}
	for _, test := range tests {
		a := addr(test.addr)
		if a.IsUnspecified() != test.unspecified || a.IsMulticast() != test.multicast ||
			a.IsBroadcast() != test.broadcast || a.IsLoopback() != test.loopback {
			t.Errorf("%s: unspecified %v, multicast %v, broadcast %v, loopback %v", a,
				a.IsUnspecified(), a.IsMulticast(), a.IsBroadcast(), a.IsLoopback())
		}
	}
}

func TestHash64TellsAddressesApart(t *testing.T) {
	seen := map[[2]uint64]string{}
	for _, s := range []string{"0.0.0.1", "::1", "1.0.0.0", "2001:db8::1", "2001:db8:0:1::"} {
		hi, lo := addr(s).Hash64()
		if other, ok := seen[[2]uint64{hi, lo}]; ok {
			t.Errorf("%s and %s have the same words", s, other)
		}
		seen[[2]uint64{hi, lo}] = s
	}
}
