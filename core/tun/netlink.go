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
func addAddress(index int, p netip.Prefix) error {
	family, flags := byte(unix.AF_INET), byte(0)
	if p.Addr().Is6() {
		// The device has one host on each side: duplicate address detection would only delay the first connection.
		family, flags = unix.AF_INET6, unix.IFA_F_NODAD
	}
	addr := p.Addr().AsSlice()
	m := []byte{family, byte(p.Bits()), flags, unix.RT_SCOPE_UNIVERSE} // struct ifaddrmsg
	m = binary.NativeEndian.AppendUint32(m, uint32(index))
	m = appendAttr(m, unix.IFA_LOCAL, addr)
	m = appendAttr(m, unix.IFA_ADDRESS, addr) // the peer's, the same where there is none
	return request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, m)
}

// setTxQueueLen sets how many packets the kernel keeps in a queue. SIOCSIFTXQLEN asks for CAP_NET_ADMIN in the first
// user namespace, which a container doesn't have; netlink for that in the device's own.
func setTxQueueLen(index, packets int) error {
	m := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(m[4:], uint32(index))
	m = appendAttr(m, unix.IFLA_TXQLEN, binary.NativeEndian.AppendUint32(nil, uint32(packets)))
	return request(unix.RTM_NEWLINK, 0, m)
}

// appendAttr appends a route attribute whose value is a multiple of four bytes long.
func appendAttr(m []byte, kind uint16, value []byte) []byte {
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofRtAttr+len(value)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	return append(m, value...)
}

// request sends one netlink request and returns the error that it is answered with.
func request(kind, flags uint16, body []byte) (err error) {
	m := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	m = append(m, body...)
	binary.NativeEndian.PutUint32(m[0:], uint32(len(m)))
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
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
