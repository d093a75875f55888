package stack

import (
	"context"
	"net"
	"net/netip"
)

// resolveRemote returns the endpoints that an address to dial stands for, of the families that the Stack has addresses
// of when there is a choice.
func (s *Stack) resolveRemote(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	host, port, err := splitHostPort(ctx, network, address)
	if err != nil {
		return nil, err
	}
	addrs, err := lookup(ctx, network, host)
	if err != nil {
		return nil, err
	}
	var usable, rest []netip.AddrPort
	for _, a := range addrs {
		endpoint := netip.AddrPortFrom(a, port)
		if s.hasFamily(a) {
			usable = append(usable, endpoint)
		} else {
			rest = append(rest, endpoint)
		}
	}
	if len(usable) == 0 {
		return rest, nil // the error that follows names the address
	}
	return usable, nil
}

// resolveLocal returns the endpoint that an address to listen at stands for.
func (s *Stack) resolveLocal(network, address string) (netip.AddrPort, error) {
	ctx := context.Background()
	host, port, err := splitHostPort(ctx, network, address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		return netip.AddrPortFrom(wildcard(network), port), nil
	}
	addrs, err := lookup(ctx, network, host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addrs[0], port), nil
}

func (s *Stack) hasFamily(a netip.Addr) bool {
	for _, p := range s.cfg.Addresses {
		if p.Addr().Is4() == a.Is4() {
			return true
		}
	}
	return false
}

func splitHostPort(ctx context.Context, network, address string) (host string, port uint16, err error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return "", 0, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := net.DefaultResolver.LookupPort(ctx, network, service)
	return host, uint16(n), err
}

// lookup returns at least one address of the network's family.
func lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	family := "ip" + network[len("tcp"):]
	if host == "" {
		return nil, &net.AddrError{Err: "missing host", Addr: host}
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, family, host)
	if err != nil {
		return nil, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	if len(addrs) == 0 {
		return nil, &net.AddrError{Err: "no suitable address", Addr: host}
	}
	return addrs, nil
}
