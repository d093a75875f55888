package stack

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// eventBatch is how many ready descriptors one call of epoll reports.
const eventBatch = 128

// keyDevice is the key of a device's queue. A connection's key is its ConnID, which is above this because generations
// start at 1.
const keyDevice = 1

// poller is one shard's epoll instance.
//
// Its owner waits in it by way of the runtime's own poller, which watches the instance as one more descriptor. A thread
// that blocked in epoll_wait would keep its processor from the goroutines that it has just made runnable until the
// runtime takes it away, 20 microseconds later at the least, and each wait would cost two switches of threads: a
// round trip through a shard took up to twice the time of a processor. A wake-up is a deadline in the past, without a
// system call.
type poller struct {
	fd       int
	file     *os.File
	raw      syscall.RawConn
	check    func(uintptr) bool // made once
	ready    []unix.EpollEvent  // of the last check
	deadline time.Time          // what the file's deadline is set to; zero for none
	spent    bool               // the file's deadline has passed, or somebody has moved it to the past
	events   [eventBatch]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("stack: epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or the runtime does not watch it
		return nil, errors.Join(fmt.Errorf("stack: epoll instance: %w", err), unix.Close(fd))
	}
	p := &poller{fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	p.check = func(uintptr) bool {
		p.ready = p.poll()
		return len(p.ready) > 0
	}
	err = p.file.SetReadDeadline(time.Time{})
	if err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("stack: the runtime does not watch epoll instances: %w", err), p.file.Close())
	}
	return p, nil
}

func (p *poller) close() error { return p.file.Close() }

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

// poll returns the descriptors that are ready now. It does not block, so that the scheduler need not know.
func (p *poller) poll() []unix.EpollEvent {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), eventBatch, 0, 0, 0)
	switch errno {
	case 0:
		return p.events[:n]
	case unix.EINTR:
		return nil
	}
	panic("stack: epoll_pwait: " + errno.Error()) // only a descriptor that is none of ours does this
}

// prepare bounds the wait that follows to timeout; below 0 there is no bound. A wake-up from here on ends that wait.
func (p *poller) prepare(timeout time.Duration) {
	var deadline time.Time
	if timeout >= 0 {
		now := time.Now()
		deadline = now.Add(timeout)
		// A deadline that is due no later may stay: waking too early is cheaper than to move a timer each time, as
		// those of retransmissions move on with every acknowledgement.
		if !p.spent && p.deadline.After(now) && !p.deadline.After(deadline) {
			return
		}
	} else if !p.spent && p.deadline.IsZero() {
		return
	}
	p.set(deadline)
	p.deadline, p.spent = deadline, false
}

// wait returns descriptors as soon as there are ready ones; none after the timeout or a wake-up.
func (p *poller) wait() []unix.EpollEvent {
	p.ready = nil
	if err := p.raw.Read(p.check); err != nil {
		p.spent = true
		return nil
	}
	return p.ready
}

// wake makes the wait end that the last prepare was for. Any goroutine may call it.
func (p *poller) wake() { p.set(past) }

// past is a time that has passed.
var past = time.Unix(1, 0)

func (p *poller) set(deadline time.Time) {
	if err := p.file.SetReadDeadline(deadline); err != nil && !errors.Is(err, os.ErrClosed) {
		panic("stack: epoll instance: " + err.Error()) // it was fine with one when it was made
	}
}
