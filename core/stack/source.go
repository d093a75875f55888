package stack

import (
	"math/bits"
	"net/netip"

	"github.com/MUCZ/Starfish/core/wire"
)

// source returns the address that connections to remote start from when the user names none. Of the prefixes that can
// give one it is that of the same scope as remote, or else a wider one, and of those the one that has the most leading bits in common with it
// (RFC 6724 §5, rules 2 and 8); between equals the first.
func (o *ownedSet) source(remote wire.Addr) (source wire.Addr, ok bool) {
	best := -1
	for i := range o.prefixes {
		p := o.prefixes[i].prefix
		if p.Addr().Is4() != remote.Is4() {
			continue
		}
		const anyBits = 129 // more than two addresses have in common
		rank := commonBits(p, remote)
		switch from, to := scopeOf(p.Addr()), scopeOf(remote.Netip()); {
		case from == to:
			rank += 2 * anyBits
		case from > to:
			rank += anyBits
		}
		if rank <= best {
			continue
		}
		if a, usable := o.first(p); usable {
			source, ok, best = a, true, rank
		}
	}
	return source, ok
}

// first returns the address of a prefix as it was given, or else its first that can be used.
func (o *ownedSet) first(p netip.Prefix) (wire.Addr, bool) {
	if a := wire.AddrFrom(p.Addr()); o.has(a) {
		return a, true
	}
	// No more than the kernel's addresses and the edges can stand in the way.
	a := p.Masked().Addr()
	for range len(o.kernel) + 2 {
		if a.IsValid() && p.Contains(a) && o.has(wire.AddrFrom(a)) {
			return wire.AddrFrom(a), true
		}
		a = a.Next()
	}
	return wire.Addr{}, false
}

// commonBits is CommonPrefixLen of RFC 6724 §2.2: how many leading bits a prefix has in common with an address, up to its
// length.
func commonBits(p netip.Prefix, a wire.Addr) int {
	hi, lo := wire.AddrFrom(p.Addr()).Hash64()
	ahi, alo := a.Hash64()
	n := bits.LeadingZeros64(hi ^ ahi)
	if n == 64 {
		n += bits.LeadingZeros64(lo ^ alo)
	}
	return min(n-(128-p.Addr().BitLen()), p.Bits()) // IPv4 stands in the last 32 bits
}

// scope is how far an address reaches (RFC 6724 §3.1, §3.2), with RFC 4193's unique local addresses apart, as the default
// policy table has them (§2.1): what is global can't answer them.
type scope uint8

const (
	scopeLinkLocal scope = iota
	scopeUniqueLocal
	scopeGlobal
)

func scopeOf(a netip.Addr) scope {
	switch {
	case a.IsLinkLocalUnicast():
		return scopeLinkLocal
	case a.Is6() && a.IsPrivate():
		return scopeUniqueLocal
	default:
		return scopeGlobal
	}
}
