package client

import (
	"context"
	"net"
	"net/netip"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// checkNetwork accepts "tcp", "tcp4" and "tcp6".
func checkNetwork(network string) error {
	switch network {
	case "tcp", "tcp4", "tcp6":
		return nil
	}
	return net.UnknownNetworkError(network)
}

// inFamily reports whether an address belongs to the network.
func inFamily(network string, addr netip.Addr) bool {
	switch network {
	case "tcp4":
		return addr.Is4()
	case "tcp6":
		return addr.Is6()
	}
	return true
}

// resolve returns the addresses and the port that HOST:PORT means, of the network's family only, in the order in which
// the system's resolver gives them. An empty host gives no address.
func resolve(ctx context.Context, network, address string) ([]netip.Addr, uint16, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return nil, 0, err
	}
	if host == "" {
		return nil, uint16(port), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, 0, err
	}
	var addrs []netip.Addr
	for _, addr := range found {
		if addr = addr.Unmap(); inFamily(network, addr) {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		return nil, 0, &net.AddrError{Err: "no suitable address", Addr: host}
	}
	return addrs, uint16(port), nil
}

// tcpAddr returns an endpoint of the API as package net has it.
func tcpAddr(e *starfishv1.Endpoint) *net.TCPAddr {
	addr, err := netip.ParseAddr(e.GetAddress())
	if err != nil { // the unspecified address of a listener
		return &net.TCPAddr{IP: net.IPv6unspecified, Port: int(e.GetPort())}
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(e.GetPort())))
}

// endpoint returns an address as the API has it; nil if it is the zero AddrPort.
func endpoint(a netip.AddrPort) *starfishv1.Endpoint {
	if a == (netip.AddrPort{}) {
		return nil
	}
	e := &starfishv1.Endpoint{Port: uint32(a.Port())}
	if a.Addr().IsValid() {
		e.Address = a.Addr().Unmap().String()
	}
	return e
}
