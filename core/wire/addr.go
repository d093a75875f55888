package wire

import (
	"encoding/binary"
	"net/netip"
)

// Addr is an IPv4 or IPv6 address of 16 bytes without a pointer, comparable with ==. IPv4 is held in its mapped form
// (RFC 4291 §2.5.5.2). The zero Addr is the IPv6 unspecified address.
type Addr struct{ hi, lo uint64 }

// mappedPrefix is bytes 8 to 11 of an IPv4-mapped address, as the high half of Addr.lo.
const mappedPrefix = 0xffff

// AddrFrom returns a as an Addr. A zone is dropped.
func AddrFrom(a netip.Addr) Addr { return Addr16(a.As16()) }

// Addr4 returns the IPv4 address of b.
func Addr4(b [4]byte) Addr { return addr4(b[:]) }

// Addr16 returns the IPv6 address of b, or the IPv4 address that it maps.
func Addr16(b [16]byte) Addr { return addr16(b[:]) }

func addr4(b []byte) Addr {
	return Addr{lo: mappedPrefix<<32 | uint64(binary.BigEndian.Uint32(b))}
}

func addr16(b []byte) Addr {
	_ = b[15]
	return Addr{hi: binary.BigEndian.Uint64(b), lo: binary.BigEndian.Uint64(b[8:])}
}

// Netip returns a in the standard library's form, IPv4 unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a.As16()).Unmap() }

// Is4 reports whether a is an IPv4 address.
func (a Addr) Is4() bool { return a.hi == 0 && a.lo>>32 == mappedPrefix }

// As4 returns the four bytes of an IPv4 address.
func (a Addr) As4() (b [4]byte) {
	binary.BigEndian.PutUint32(b[:], uint32(a.lo))
	return b
}

// As16 returns the sixteen bytes of a, IPv4 in its mapped form.
func (a Addr) As16() (b [16]byte) {
	a.put16(b[:])
	return b
}

func (a Addr) put16(b []byte) {
	_ = b[15]
	binary.BigEndian.PutUint64(b, a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
}

// Hash64 returns the words of a, for keyed hashes. It is no hash itself.
func (a Addr) Hash64() (hi, lo uint64) { return a.hi, a.lo }

// IsUnspecified reports whether a is 0.0.0.0 or ::.
func (a Addr) IsUnspecified() bool {
	return a.hi == 0 && (a.lo == 0 || a.lo == mappedPrefix<<32)
}

// IsMulticast reports whether a is in 224.0.0.0/4 or ff00::/8.
func (a Addr) IsMulticast() bool {
	if a.Is4() {
		return uint32(a.lo)>>28 == 0xe
	}
	return a.hi>>56 == 0xff
}

// IsBroadcast reports whether a is 255.255.255.255. A subnet's broadcast address takes its prefix to tell.
func (a Addr) IsBroadcast() bool { return a.Is4() && uint32(a.lo) == 0xffffffff }

// IsLoopback reports whether a is in 127.0.0.0/8 or is ::1.
func (a Addr) IsLoopback() bool {
	if a.Is4() {
		return uint32(a.lo)>>24 == 127
	}
	return a.hi == 0 && a.lo == 1
}

// String returns the usual text form.
func (a Addr) String() string { return a.Netip().String() }
