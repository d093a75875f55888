package stack

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// eventBatch is how many ready descriptors one call of epoll reports.
const eventBatch = 128

// Keys of descriptors that are no connection's. A connection's key is its ConnID, which is above all of these because
// generations start at 1.
const (
	keyWake   = 0
	keyDevice = 1
)

// poller is one shard's epoll instance and the eventfd that others wake it with.
type poller struct {
	fd     int
	wakeFD int
	coarse bool // no epoll_pwait2: Linux before 5.11
	events [eventBatch]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("stack: epoll_create1: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		err = fmt.Errorf("stack: eventfd: %w", err)
		return nil, errors.Join(err, unix.Close(fd))
	}
	p := &poller{fd: fd, wakeFD: wake}
	if err := p.add(wake, keyWake, unix.EPOLLIN); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *poller) close() error { return errors.Join(unix.Close(p.wakeFD), unix.Close(p.fd)) }

func (p *poller) add(fd int, key uint64, events uint32) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, key, events)
}

func (p *poller) modify(fd int, key uint64, events uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, key, events)
}

func (p *poller) remove(fd int) error { return p.control(unix.EPOLL_CTL_DEL, fd, 0, 0) }

func (p *poller) control(op, fd int, key uint64, events uint32) error {
	e := unix.EpollEvent{Events: events}
	*eventKey(&e) = key
	if err := unix.EpollCtl(p.fd, op, fd, &e); err != nil {
		return fmt.Errorf("stack: epoll_ctl: %w", err)
	}
	return nil
}

// eventKey is the epoll_data of e: its last eight bytes on every architecture.
func eventKey(e *unix.EpollEvent) *key64 {
	return (*key64)(unsafe.Add(unsafe.Pointer(e), unsafe.Sizeof(*e)-unsafe.Sizeof(key64(0))))
}

type key64 = uint64

// wait returns the descriptors that are ready, after at most timeout; below 0 there is no such bound.
func (p *poller) wait(timeout time.Duration) []unix.EpollEvent {
	var n uintptr
	var errno unix.Errno
	switch {
	case timeout == 0:
		// It does not block, so that the scheduler need not know.
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), eventBatch, 0, 0, 0)
	case p.coarse:
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), eventBatch, milliseconds(timeout), 0, 0)
	default:
		var ts unix.Timespec
		var bound unsafe.Pointer
		if timeout > 0 {
			ts = unix.NsecToTimespec(int64(timeout))
			bound = unsafe.Pointer(&ts)
		}
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), eventBatch, uintptr(bound), 0, 0)
		if errno == unix.ENOSYS {
			p.coarse = true
			return nil
		}
	}
	if errno != 0 {
		if errno != unix.EINTR {
			panic("stack: epoll_pwait: " + errno.Error()) // only a descriptor that is none of ours does this
		}
		return nil
	}
	return p.events[:n]
}

// milliseconds rounds up: a timer that is waited for must be due afterwards.
func milliseconds(d time.Duration) uintptr {
	if d < 0 {
		return ^uintptr(0)
	}
	return uintptr(min((d+time.Millisecond-1)/time.Millisecond, 1<<31-1))
}

var one = [8]byte{1}

// wake makes a wait return, now or the next time.
func (p *poller) wake() {
	for {
		// EAGAIN means that the counter is full, and so that a wake-up is pending anyway.
		if _, err := unix.Write(p.wakeFD, one[:]); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// clearWake takes the pending wake-ups.
func (p *poller) clearWake() {
	var count [8]byte
	_, _ = unix.Read(p.wakeFD, count[:]) // EAGAIN: somebody else's wake-up was taken with an earlier one
}
