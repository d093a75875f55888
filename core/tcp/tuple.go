package tcp

import (
	"net/netip"

	"github.com/MUCZ/Starfish/core/wire"
)

// Endpoint is an address and a port.
type Endpoint struct {
	Addr wire.Addr
	Port uint16
}

// EndpointFrom converts from the standard library's form.
func EndpointFrom(ap netip.AddrPort) Endpoint {
	return Endpoint{Addr: wire.AddrFrom(ap.Addr()), Port: ap.Port()}
}

// AddrPort converts to the standard library's form.
func (e Endpoint) AddrPort() netip.AddrPort { return netip.AddrPortFrom(e.Addr.Netip(), e.Port) }

func (e Endpoint) String() string { return e.AddrPort().String() }

// tuple names a connection on the wire, from our side.
type tuple struct {
	local, remote         wire.Addr
	localPort, remotePort uint16
}

func (t tuple) localEndpoint() Endpoint  { return Endpoint{t.local, t.localPort} }
func (t tuple) remoteEndpoint() Endpoint { return Endpoint{t.remote, t.remotePort} }

// FlowHash maps a flow to a number that is the same whichever end computes it, so that a shell can spread flows over
// shards before it knows the connection.
func FlowHash(a, b Endpoint) uint32 {
	return endpointHash(a) ^ endpointHash(b)
}

func endpointHash(e Endpoint) uint32 {
	hi, lo := e.Addr.Hash64()
	h := hi*0x9e3779b97f4a7c15 ^ lo
	h = (h ^ uint64(e.Port)<<17) * 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return uint32(h >> 32)
}
