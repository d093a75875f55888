package stack

import (
	"net/netip"

	"github.com/MUCZ/Starfish/core/wire"
)

// ownedSet is the addresses that a Stack owns.
type ownedSet struct {
	prefixes []ownedPrefix
	kernel   map[wire.Addr]bool
}

// ownedPrefix is a prefix as masks over the words of wire.Addr.Hash64. Its first address, and an IPv4 prefix's last, are not
// usable: the network's and the broadcast address (RFC 1122 §3.2.1.3), the subnet routers' anycast (RFC 4291 §2.6.1).
type ownedPrefix struct {
	hi, lo         uint64
	hiMask, loMask uint64
	edges          bool // first (and last) belong to nobody
	prefix         netip.Prefix
}

func newOwnedSet(prefixes []netip.Prefix, kernel []netip.Addr) *ownedSet {
	o := &ownedSet{kernel: make(map[wire.Addr]bool, len(kernel))}
	for _, p := range prefixes {
		o.prefixes = append(o.prefixes, newOwnedPrefix(p))
	}
	for _, a := range kernel {
		o.kernel[wire.AddrFrom(a)] = true
	}
	return o
}

func newOwnedPrefix(p netip.Prefix) ownedPrefix {
	bits, width := p.Bits(), p.Addr().BitLen()
	o := ownedPrefix{prefix: p, edges: width-bits > 1} // RFC 3021, RFC 6164: two addresses are two hosts
	bits += 128 - width                                // in the mapped form
	o.hiMask, o.loMask = ^uint64(0), ^uint64(0)
	if bits <= 64 {
		o.hiMask, o.loMask = ^uint64(0)<<(64-bits), 0
	} else {
		o.loMask <<= 128 - bits
	}
	hi, lo := wire.AddrFrom(p.Addr()).Hash64()
	o.hi, o.lo = hi&o.hiMask, lo&o.loMask
	return o
}

// has reports whether a can be one end of a connection of ours.
func (o *ownedSet) has(a wire.Addr) bool {
	hi, lo := a.Hash64()
	for i := range o.prefixes {
		if o.prefixes[i].has(hi, lo) {
			return !o.kernel[a]
		}
	}
	return false
}

func (p *ownedPrefix) has(hi, lo uint64) bool {
	if hi&p.hiMask != p.hi || lo&p.loMask != p.lo {
		return false
	}
	if !p.edges {
		return true
	}
	if hi == p.hi && lo == p.lo {
		return false
	}
	return !p.prefix.Addr().Is4() || lo != p.lo|^p.loMask
}
