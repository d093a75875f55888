package packetdrill

import (
	"slices"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// epoll is what an epoll descriptor stands for.
type epoll struct{ interests []interest }

// interest is one descriptor that an epoll looks at.
type interest struct {
	fd, events, data int64
	told             int64  // edge-triggered: what was told, and has not gone since
	seen             uint64 // edge-triggered: how far the connection had come then
}

func (r *runner) callEpollCreate(c *Call) (begun, error) {
	return atOnce(func() (int64, error) {
		if c.NoResult {
			return 0, failf(ParseError, 0, "%s has to say which descriptor it returns", c.Name)
		}
		fd, err := eval(&c.Result)
		if err == nil && fd >= 0 {
			r.epolls[fd] = &epoll{}
		}
		return fd, err
	})
}

func (r *runner) epollOf(c *Call) (*epoll, error) {
	fd, err := c.number(0)
	if err != nil {
		return nil, err
	}
	if e := r.epolls[fd]; e != nil {
		return e, nil
	}
	return nil, errno("EBADF")
}

func (r *runner) callEpollControl(c *Call) (begun, error) {
	e, err := r.epollOf(c)
	if err != nil {
		return begun{}, err
	}
	operation, err := c.number(1)
	if err != nil {
		return begun{}, err
	}
	var in interest
	if in.fd, err = c.number(2); err != nil {
		return begun{}, err
	}
	if len(c.Args) > 3 && c.Args[3].Kind == ExprStruct {
		if err := in.read(&c.Args[3]); err != nil {
			return begun{}, err
		}
	}
	return atOnce(func() (int64, error) {
		i := slices.IndexFunc(e.interests, func(x interest) bool { return x.fd == in.fd })
		switch {
		case r.sockets[in.fd] == nil:
			return 0, errno("EBADF")
		case operation == constants["EPOLL_CTL_ADD"] && i >= 0:
			return 0, errno("EEXIST")
		case operation == constants["EPOLL_CTL_ADD"]:
			e.interests = append(e.interests, in)
		case i < 0:
			return 0, errno("ENOENT")
		case operation == constants["EPOLL_CTL_MOD"]:
			e.interests[i] = in
		default:
			e.interests = slices.Delete(e.interests, i, i+1)
		}
		return 0, nil
	})
}

// read takes {events=…, fd=…} or {events=…, ptr=…}.
func (in *interest) read(e *Expr) error {
	for _, name := range []string{"events", "fd", "ptr", "u32", "u64"} {
		field, ok := e.field(name)
		if !ok || field.Kind == ExprEllipsis {
			continue
		}
		n, err := eval(&field)
		if err != nil {
			return err
		}
		if name == "events" {
			in.events = n
		} else {
			in.data = n
		}
	}
	return nil
}

func (r *runner) callEpollWait(c *Call) (begun, error) {
	e, err := r.epollOf(c)
	if err != nil {
		return begun{}, err
	}
	if len(c.Args) != 4 {
		return begun{}, failf(ParseError, 0, "epoll_wait wants four arguments")
	}
	var want interest
	if err := want.read(&c.Args[1]); err != nil {
		return begun{}, err
	}
	timeout, err := c.number(3)
	if err != nil {
		return begun{}, err
	}
	deadline := r.now.Add(time.Duration(timeout) * time.Millisecond)
	if timeout > 0 {
		r.wakeAt(deadline)
	}
	return begun{dontWait: timeout == 0, try: func() (int64, error) {
		ready, got := r.pollInterests(e)
		if ready == 0 && (timeout < 0 || r.now < deadline) {
			return 0, tcp.ErrWouldBlock
		}
		if ready > 0 && c.Args[1].Kind == ExprStruct && (got.events != want.events || got.data != want.data) {
			return 0, failf(WrongResult, 0, "epoll_wait gives events %#x of %d, want %#x of %d", got.events, got.data, want.events, want.data)
		}
		return ready, nil
	}}, nil
}

// pollInterests counts what is ready, and returns the first.
func (r *runner) pollInterests(e *epoll) (ready int64, first interest) {
	const edge, once = "EPOLLET", "EPOLLONESHOT"
	for i := range e.interests {
		in := &e.interests[i]
		p := polled{s: r.sockets[in.fd], events: in.events, unknownSocket: r.sockets[in.fd] == nil}
		if p.unknownSocket || in.events == 0 {
			continue // closed descriptors leave an epoll by themselves
		}
		now := r.readiness(&p)
		told := now
		if in.events&constants[edge] != 0 {
			progress := r.progress(p.s)
			if told = now &^ in.told; progress != in.seen {
				told = now
			}
			in.told, in.seen = now, progress
		}
		if told == 0 {
			continue
		}
		if in.events&constants[once] != 0 {
			in.events = 0
		}
		if ready++; ready == 1 {
			first = interest{events: now, data: in.data}
		}
	}
	return ready, first
}

// progress changes with what wakes the waiters of a connection: bytes and states that came, and sends that found the
// buffer full, which the space that comes after ends.
func (r *runner) progress(s *socket) uint64 {
	st := r.status(s)
	return (st.BytesReceived+s.errs.told)<<24 + s.filled<<4 + uint64(st.State)
}
