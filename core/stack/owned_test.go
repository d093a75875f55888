package stack

import (
	"net/netip"
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

func addr(s string) wire.Addr { return wire.AddrFrom(netip.MustParseAddr(s)) }

func TestOwnedSet(t *testing.T) {
	o := newOwnedSet(
		prefixes("10.144.0.2/16", "192.0.2.4/30", "198.51.100.8/31", "203.0.113.9/32", "fd00:1::2/64", "fd00:2::7/127", "fd80:3::/20"),
		[]netip.Addr{netip.MustParseAddr("10.144.0.1"), netip.MustParseAddr("fd00:1::1")},
	)
	for a, want := range map[string]bool{
		"10.144.0.2":                  true,
		"10.144.255.254":              true,
		"10.144.0.0":                  false, // the network
		"10.144.255.255":              false, // its broadcast address
		"10.144.0.1":                  false, // the kernel's
		"10.145.0.2":                  false,
		"10.143.0.2":                  false,
		"192.0.2.4":                   false,
		"192.0.2.5":                   true,
		"192.0.2.7":                   false,
		"198.51.100.8":                true, // RFC 3021
		"198.51.100.9":                true,
		"198.51.100.10":               false,
		"203.0.113.9":                 true,
		"203.0.113.8":                 false,
		"fd00:1::":                    false, // the routers' anycast
		"fd00:1::1":                   false,
		"fd00:1::2":                   true,
		"fd00:1::ffff:ffff:ffff:ffff": true, // IPv6 has no broadcast
		"fd00:1:0:1::2":               false,
		"fd00:2::6":                   true, // RFC 6164
		"fd00:2::8":                   false,
		"fd80:fff::1":                 true,
		"fd80:1000::1":                false,
		"::":                          false,
		"0.0.0.0":                     false,
	} {
		if got := o.has(addr(a)); got != want {
			t.Errorf("%s owned: %v, want %v", a, got, want)
		}
	}
}

func TestOwnedDoesNotAllocate(t *testing.T) {
	o := newOwnedSet(prefixes("10.0.0.7/24", "fd00::5/64"), nil)
	a := addr("fd00::99")
	if n := testing.AllocsPerRun(100, func() { o.has(a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
