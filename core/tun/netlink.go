package tun

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// addAddress gives the interface an address by rtnetlink(7). The ioctls can't: SIOCSIFADDR replaces the IPv4 address
// that is there.
func addAddress(index int, p netip.Prefix) error { return request(newAddressMessage(index, p)) }

// request sends one netlink request and returns the error that it is answered with.
func request(m []byte) (err error) {
	sock, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(sock)) }()
	if err := unix.Sendto(sock, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink request: %w", err)
	}
	reply := make([]byte, 4096)
	n, _, err := unix.Recvfrom(sock, reply, 0)
	if err != nil {
		return fmt.Errorf("netlink reply: %w", err)
	}
	return parseAck(reply[:n])
}

// newAddressMessage returns an RTM_NEWADDR request: nlmsghdr, ifaddrmsg, and the address as the attributes IFA_LOCAL
// and IFA_ADDRESS, which are the same but for a peer's address.
func newAddressMessage(index int, p netip.Prefix) []byte {
	family, flags := byte(unix.AF_INET), byte(0)
	if p.Addr().Is6() {
		// The device has one host on each side: duplicate address detection would only delay the first connection.
		family, flags = unix.AF_INET6, unix.IFA_F_NODAD
	}
	ne := binary.NativeEndian
	addr := p.Addr().AsSlice()
	m := make([]byte, unix.SizeofNlMsghdr, 96)
	m = append(m, family, byte(p.Bits()), flags, unix.RT_SCOPE_UNIVERSE)
	m = ne.AppendUint32(m, uint32(index))
	for _, attr := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		m = ne.AppendUint16(m, uint16(unix.SizeofRtAttr+len(addr)))
		m = ne.AppendUint16(m, attr)
		m = append(m, addr...)
	}
	ne.PutUint32(m[0:], uint32(len(m)))
	ne.PutUint16(m[4:], unix.RTM_NEWADDR)
	ne.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	return m
}

// parseAck returns the error in an NLMSG_ERROR message, nil when it acknowledges the request.
func parseAck(m []byte) error {
	ne := binary.NativeEndian
	if len(m) < unix.SizeofNlMsghdr+4 || ne.Uint16(m[4:]) != unix.NLMSG_ERROR {
		return errors.New("netlink reply: not an acknowledgement")
	}
	if code := int32(ne.Uint32(m[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
