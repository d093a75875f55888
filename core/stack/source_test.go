package stack

import (
	"net/netip"
	"testing"
)

func TestSource(t *testing.T) {
	kernel := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2")}
	for _, c := range []struct {
		owned        []netip.Prefix
		remote, want string
	}{
		{prefixes("10.0.0.7/24"), "192.0.2.1", "10.0.0.7"},
		{prefixes("10.0.0.0/24"), "192.0.2.1", "10.0.0.2"},
		{prefixes("10.0.0.1/24"), "192.0.2.1", "10.0.0.2"},
		{prefixes("10.9.0.1/24"), "192.0.2.1", "10.9.0.3"},
		{prefixes("fd00::5/64", "10.0.0.7/24"), "192.0.2.1", "10.0.0.7"},
		{prefixes("fd00::5/64", "10.0.0.7/24"), "fd00::1", "fd00::5"},
		{prefixes("fd00::/64"), "fd00::9", "fd00::1"},
		{prefixes("10.0.0.7/24"), "fd00::9", ""},
		{prefixes("10.0.0.1/32"), "192.0.2.1", ""},
		{prefixes("255.255.255.255/32"), "192.0.2.1", "255.255.255.255"},
		// RFC 6724 §5, rule 8: the longest match, and the first of equals.
		{prefixes("10.0.0.7/24", "192.0.2.7/24"), "192.0.2.1", "192.0.2.7"},
		{prefixes("10.0.0.7/24", "192.0.2.7/24"), "10.0.3.1", "10.0.0.7"},
		{prefixes("10.0.0.7/24", "10.0.0.8/24"), "10.0.0.1", "10.0.0.7"},
		{prefixes("10.0.0.7/16", "10.0.0.8/24"), "10.0.0.1", "10.0.0.8"},
		{prefixes("fd00:1::5/64", "fd00:2::5/64"), "fd00:2::1", "fd00:2::5"},
		// Rule 2: the scope goes before.
		{prefixes("fe80::5/64", "2001:db8::5/64"), "fe80::1", "fe80::5"},
		{prefixes("fe80::5/64", "2001:db8::5/64"), "fd00::1", "2001:db8::5"},
		{prefixes("fd00::5/64", "2001:db8::5/64"), "2a00::1", "2001:db8::5"},
		{prefixes("2001:db8::5/64", "fd00::5/64"), "fd12::1", "fd00::5"},
		{prefixes("169.254.0.5/16", "10.0.0.7/24"), "192.0.2.1", "10.0.0.7"},
		{prefixes("10.0.0.7/24", "169.254.0.5/16"), "169.254.9.9", "169.254.0.5"},
		// A prefix without a usable address gives way.
		{prefixes("10.9.0.1/32", "10.0.0.7/24"), "10.9.0.1", "10.0.0.7"},
	} {
		got, ok := newOwnedSet(c.owned, kernel).source(addr(c.remote))
		if ok != (c.want != "") || ok && got != addr(c.want) {
			t.Errorf("source for %s in %v: %v, %v; want %q", c.remote, c.owned, got, ok, c.want)
		}
	}
}
