package differential

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
)

// noSocket stands for a descriptor that isn't there.
const noSocket = -1

// kernelLane has the sockets of one sequence.
type kernelLane struct {
	kernel         *Kernel
	place          Place
	spare          [3]int // made inside, and used in this order
	used           int
	conn, listener int
	sent           [][]byte
	state          tcp.State
}

// newSocket takes one of those that were made inside. A sequence that wants more than there are gets none.
func (l *kernelLane) newSocket() (int, error) {
	if l.used == len(l.spare) {
		return noSocket, unix.EMFILE
	}
	l.used++
	return l.spare[l.used-1], nil
}

func (l *kernelLane) Deliver(packet []byte) error { return l.kernel.deliver(packet) }

func (l *kernelLane) Answers() [][]byte {
	sent := l.sent
	l.sent = nil
	return sent
}

func (l *kernelLane) State() tcp.State { return l.state }

func (l *kernelLane) Call(step Step) string {
	switch step {
	case Listen:
		return l.listen()
	case Connect:
		return l.connect()
	case Accept:
		return l.accept()
	case CloseListener:
		if l.listener == noSocket {
			return noDescriptor
		}
		err := unix.Close(l.listener)
		l.listener = noSocket
		return posixOutcome(err)
	default:
		if l.conn == noSocket {
			return noDescriptor
		}
		return l.callConn(step)
	}
}

func (l *kernelLane) listen() string {
	if l.listener != noSocket {
		return "EINVAL"
	}
	fd, err := l.newSocket()
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: SubjectAddr.As4(), Port: int(l.place.Local.Port)})
	}
	if err == nil {
		err = unix.Listen(fd, 8)
	}
	if err == nil {
		l.listener = fd
	}
	return posixOutcome(err)
}

func (l *kernelLane) connect() string {
	if l.conn != noSocket {
		return "EINVAL"
	}
	fd, err := l.newSocket()
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: SubjectAddr.As4(), Port: int(l.place.Local.Port)})
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: l.place.Remote.Addr.As4(), Port: int(l.place.Remote.Port)})
		if errors.Is(err, unix.EINPROGRESS) {
			err = nil
		}
	}
	if err == nil {
		l.conn = fd
	}
	return posixOutcome(err)
}

func (l *kernelLane) accept() string {
	switch {
	case l.listener == noSocket:
		return noDescriptor
	case l.conn != noSocket:
		return "EINVAL"
	}
	fd, _, err := unix.Accept4(l.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err == nil {
		l.conn = fd
	}
	return posixOutcome(err)
}

func (l *kernelLane) callConn(step Step) string {
	switch step {
	case Receive:
		n, err := unix.Read(l.conn, make([]byte, receiveBuffer))
		if err == nil && n == 0 {
			return "EOF"
		}
		return posixCount(n, err)
	case ShutdownWrite:
		return posixOutcome(unix.Shutdown(l.conn, unix.SHUT_WR))
	case ShutdownRead:
		return posixOutcome(unix.Shutdown(l.conn, unix.SHUT_RD))
	case Close:
		return l.closeConn()
	case Abort:
		if err := unix.SetsockoptLinger(l.conn, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return posixOutcome(err)
		}
		return l.closeConn()
	default:
		n, err := unix.SendmsgN(l.conn, make([]byte, step.SendLength()), nil, nil, unix.MSG_NOSIGNAL)
		return posixCount(n, err)
	}
}

func (l *kernelLane) closeConn() string {
	err := unix.Close(l.conn)
	l.conn = noSocket
	return posixOutcome(err)
}

func (l *kernelLane) Close() error {
	var errs []error
	for _, fd := range l.spare[l.used:] {
		errs = append(errs, unix.Close(fd))
	}
	if l.conn != noSocket {
		l.Call(Abort)
	}
	if l.listener != noSocket {
		errs = append(errs, unix.Close(l.listener))
	}
	return errors.Join(errs...)
}

func posixCount(n int, err error) string {
	if err != nil {
		return posixOutcome(err)
	}
	return strconv.Itoa(n)
}

func posixOutcome(err error) string {
	if err == nil {
		return "ok"
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
