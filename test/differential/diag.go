package differential

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// diag asks the kernel for the states of all connections of its namespace, those that no socket holds any more among
// them (sock_diag(7)).
type diag struct {
	fd     int
	buffer []byte
}

func openDiag() (*diag, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	return &diag{fd: fd, buffer: make([]byte, 1<<16)}, os.NewSyscallError("netlink socket", err)
}

// Offsets in struct inet_diag_req_v2 and struct inet_diag_msg (linux/inet_diag.h).
const (
	diagByFamily  = 20
	requestLen    = 56
	requestProto  = 1
	requestStates = 4
	messageState  = 1
	messageSPort  = 4
	messageDst    = 24
	messageLen    = 72
)

// kernelStates are the states by the kernel's numbers (net/tcp_states.h).
var kernelStates = map[byte]tcp.State{
	1: tcp.StateEstablished, 2: tcp.StateSynSent, 3: tcp.StateSynReceived, 4: tcp.StateFinWait1, 5: tcp.StateFinWait2,
	6: tcp.StateTimeWait, 7: tcp.StateClosed, 8: tcp.StateCloseWait, 9: tcp.StateLastAck, 10: tcp.StateListen,
	11: tcp.StateClosing, 12: tcp.StateSynReceived,
}

// each calls f for every connection and listener.
func (d *diag) each(f func(state tcp.State, port uint16, peer wire.Addr)) error {
	request := make([]byte, unix.SizeofNlMsghdr+requestLen)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], diagByFamily)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.SizeofNlMsghdr:]
	body[0], body[requestProto] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(body[requestStates:], ^uint32(0))
	if err := unix.Sendto(d.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("ask sock_diag", err)
	}
	for {
		n, _, err := unix.Recvfrom(d.fd, d.buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("read sock_diag", err)
		}
		if done, err := readDiag(d.buffer[:n], f); done || err != nil {
			return err
		}
	}
}

// readDiag reads one datagram of messages, and reports whether it was the last.
func readDiag(b []byte, f func(state tcp.State, port uint16, peer wire.Addr)) (bool, error) {
	for len(b) >= unix.SizeofNlMsghdr {
		length := int(nativeUint32(b))
		if length < unix.SizeofNlMsghdr || length > len(b) {
			return true, fmt.Errorf("sock_diag gives a message of %d bytes in %d", length, len(b))
		}
		body := b[unix.SizeofNlMsghdr:length]
		switch kind := binary.NativeEndian.Uint16(b[4:]); {
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR:
			return true, fmt.Errorf("sock_diag: error %d", int32(nativeUint32(body)))
		case len(body) >= messageLen:
			peer := wire.Addr4([4]byte(body[messageDst:]))
			f(kernelStates[body[messageState]], binary.BigEndian.Uint16(body[messageSPort:]), peer)
		}
		b = b[min(len(b), (length+3)&^3):]
	}
	return false, nil
}

// readStates gives every lane its state. A connection counts before a listener.
func (k *Kernel) readStates() error {
	byPort := make(map[uint16]*kernelLane, len(k.byPeer))
	for _, lane := range k.byPeer {
		lane.state = tcp.StateClosed
		byPort[lane.place.Local.Port] = lane
	}
	return k.diag.each(func(state tcp.State, port uint16, peer wire.Addr) {
		if lane := k.byPeer[peer]; lane != nil && state != tcp.StateClosed {
			lane.state = state
			return
		}
		if lane := byPort[port]; lane != nil && state == tcp.StateListen && lane.state == tcp.StateClosed {
			lane.state = state
		}
	})
}
