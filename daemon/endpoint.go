package daemon

import (
	"net/netip"

	"golang.org/x/sys/unix"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

func endpointProto(ap netip.AddrPort) *starfishv1.Endpoint {
	e := &starfishv1.Endpoint{Port: uint32(ap.Port())}
	if ap.Addr().IsValid() {
		e.Address = ap.Addr().String()
	}
	return e
}

// parseEndpoint reads an endpoint of a request. An empty address gives the zero Addr.
func parseEndpoint(op, which string, e *starfishv1.Endpoint) (netip.AddrPort, error) {
	if e.GetPort() > 65_535 {
		return netip.AddrPort{}, invalid(op, "%s port %d is above 65535", which, e.GetPort())
	}
	var addr netip.Addr
	if text := e.GetAddress(); text != "" {
		var err error
		if addr, err = netip.ParseAddr(text); err != nil {
			return netip.AddrPort{}, invalid(op, "%s address %.64q is no IPv4 or IPv6 address (names are resolved by clients)", which, text)
		}
		if addr.Zone() != "" {
			return netip.AddrPort{}, invalid(op, "%s address %s has a zone, and the stack has one link only", which, addr)
		}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(e.GetPort())), nil
}

// connectEndpoints reads both ends of an active open.
func connectEndpoints(r, l *starfishv1.Endpoint) (remote, local netip.AddrPort, err error) {
	if remote, err = parseEndpoint("connect", "remote", r); err != nil {
		return remote, local, err
	}
	if local, err = parseEndpoint("connect", "local", l); err != nil {
		return remote, local, err
	}
	switch {
	case !remote.Addr().IsValid() || remote.Addr().IsUnspecified():
		err = invalid("connect", "the remote address is missing")
	case remote.Port() == 0:
		err = invalid("connect", "the remote port is missing")
	case local.Addr().IsUnspecified():
		local = netip.AddrPortFrom(netip.Addr{}, local.Port())
	case local.Addr().IsValid() && local.Addr().Is4() != remote.Addr().Is4():
		err = &failure{
			op: "connect", subject: remote.String(), errno: unix.EAFNOSUPPORT,
			detail: "the local address " + local.Addr().String() + " is of the other address family",
		}
	}
	return remote, local, err
}

// listenEndpoint reads where to listen. No address means every address of both families.
func listenEndpoint(e *starfishv1.Endpoint) (netip.AddrPort, error) {
	local, err := parseEndpoint("listen", "local", e)
	if err != nil {
		return local, err
	}
	if !local.Addr().IsValid() {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), local.Port()), nil
	}
	return local, nil
}
