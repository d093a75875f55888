package packetdrill

import (
	"net/netip"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// attempt tries a call. It fails with tcp.ErrWouldBlock when a blocking socket has to wait: the runner tries again
// whenever something has changed. dontWait calls get the same error as their result.
type attempt func() (int64, error)

// call is a system call of a script: its arguments are checked when it is begun, and it is tried until it is done.
type begun struct {
	try      attempt
	dontWait bool
	socket   *socket // that it writes to
}

var calls map[string]func(*runner, *Call) (begun, error)

func init() {
	calls = map[string]func(*runner, *Call) (begun, error){
		"socket": (*runner).callSocket, "bind": (*runner).callBind, "listen": (*runner).callListen,
		"accept": (*runner).callAccept, "accept4": (*runner).callAccept, "connect": (*runner).callConnect,
		"read": (*runner).callRead, "recv": (*runner).callRead, "recvfrom": (*runner).callRead,
		"readv": (*runner).callReadVector, "recvmsg": (*runner).callRecvmsg,
		"write": (*runner).callWrite, "send": (*runner).callWrite, "sendto": (*runner).callWrite,
		"writev": (*runner).callWriteVector, "sendmsg": (*runner).callSendmsg,
		"shutdown": (*runner).callShutdown, "close": (*runner).callClose, "fcntl": (*runner).callFcntl,
		"ioctl": (*runner).callIoctl, "poll": (*runner).callPoll,
		"epoll_create": (*runner).callEpollCreate, "epoll_create1": (*runner).callEpollCreate,
		"epoll_ctl": (*runner).callEpollControl, "epoll_wait": (*runner).callEpollWait,
		"open": (*runner).callOpen, "sendfile": (*runner).callSendfile,
		"setsockopt": (*runner).callSetsockopt, "getsockopt": (*runner).callGetsockopt,
	}
}

// refusedCalls are why calls are refused that scripts know.
var refusedCalls = map[string]string{
	"pipe": "there are no pipes", "splice": "there are no pipes",
	"dup": "descriptors are the script's own numbers", "select": "poll and epoll are there", "mmap": "there is no memory to map",
	"kqueue": "poll and epoll are there", "kevent": "poll and epoll are there", "fork": "a script is one process",
	"sctp_sendmsg": "the engine is TCP", "sctp_recvmsg": "the engine is TCP", "sctp_peeloff": "the engine is TCP",
}

// atOnce is a call that never waits.
func atOnce(try attempt) (begun, error) { return begun{try: try, dontWait: true}, nil }

// number is the value of the call's i-th argument.
func (c *Call) number(i int) (int64, error) {
	if i >= len(c.Args) {
		return 0, failf(ParseError, 0, "%s wants more than %d arguments", c.Name, len(c.Args))
	}
	return eval(&c.Args[i])
}

// socketOf finds the socket that the call's first argument names.
func (r *runner) socketOf(c *Call) (*socket, error) {
	fd, err := c.number(0)
	if err != nil {
		return nil, err
	}
	if s := r.sockets[fd]; s != nil {
		return s, nil
	}
	return nil, errno("EBADF")
}

// install gives a new socket the descriptor that the script says the call returns.
func (r *runner) install(s *socket, c *Call) (int64, error) {
	if c.NoResult {
		return 0, failf(ParseError, 0, "%s has to say which descriptor it returns", c.Name)
	}
	fd, err := eval(&c.Result)
	if err != nil {
		return 0, err
	}
	if fd < 0 {
		return 0, nil // the comparison of results says the rest
	}
	r.sockets[fd] = s
	return fd, nil
}

func (r *runner) callSocket(c *Call) (begun, error) {
	s := &socket{v6: r.set.v6, options: r.set.options}
	s.options.KeepAlive = -1 // until SO_KEEPALIVE
	if len(c.Args) > 0 && c.Args[0].Kind != ExprEllipsis {
		family, err := c.number(0)
		if err != nil {
			return begun{}, err
		}
		if family != constants["AF_INET"] && family != constants["AF_INET6"] {
			return begun{}, failf(Unsupported, 0, "address family %d", family)
		}
		s.v6 = s.v6 || family == constants["AF_INET6"]
	}
	kind, err := c.number(1)
	if err != nil {
		return begun{}, err
	}
	s.nonblocking = kind&constants["SOCK_NONBLOCK"] != 0
	if kind&0xff != constants["SOCK_STREAM"] {
		return begun{}, failf(Unsupported, 0, "sockets that are no streams: the engine is TCP")
	}
	if len(c.Args) > 2 && c.Args[2].Kind != ExprEllipsis {
		if protocol, err := c.number(2); err != nil || protocol != 0 && protocol != constants["IPPROTO_TCP"] {
			return begun{}, failf(Unsupported, 0, "%s sockets: the engine is TCP", c.Args[2].Text)
		}
	}
	return atOnce(func() (int64, error) {
		r.focus = nil
		return r.install(s, c)
	})
}

// endpoint reads a socket address, with the script's own for what it leaves out.
func (r *runner) endpoint(e *Expr, base tcp.Endpoint) (tcp.Endpoint, error) {
	if e.Kind != ExprStruct {
		return base, nil
	}
	for _, name := range []string{"sin_port", "sin6_port"} {
		if port, ok := e.field(name); ok && port.Kind != ExprEllipsis {
			n, err := eval(&port)
			if err != nil {
				return base, err
			}
			base.Port = uint16(n)
		}
	}
	for _, name := range []string{"sin_addr", "sin6_addr"} {
		addr, ok := e.field(name)
		if !ok || addr.Kind != ExprCall || len(addr.Args) == 0 {
			continue
		}
		text := addr.Args[len(addr.Args)-1].Text
		a, err := netip.ParseAddr(text)
		if err != nil {
			return base, failf(ParseError, 0, "%q is no address", text)
		}
		if !a.IsUnspecified() {
			base.Addr = wire.AddrFrom(a)
		}
	}
	return base, nil
}

// defaultPort is where scripts listen and connect to that don't say.
const defaultPort = 8080

func (r *runner) ours(v6 bool) wire.Addr {
	if v6 {
		return r.set.local[1]
	}
	return r.set.local[0]
}

func (r *runner) theirs(v6 bool) wire.Addr {
	if v6 {
		return r.set.remote[1]
	}
	return r.set.remote[0]
}

func (r *runner) callBind(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	if len(c.Args) < 2 {
		return begun{}, failf(ParseError, 0, "bind wants an address")
	}
	local, err := r.endpoint(&c.Args[1], tcp.Endpoint{Addr: r.ours(s.v6), Port: defaultPort})
	return begun{dontWait: true, try: func() (int64, error) {
		if s.local.Port != 0 {
			return 0, errno("EINVAL")
		}
		s.local = local
		return 0, nil
	}}, err
}

func (r *runner) callListen(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	backlog, err := c.number(1)
	if err != nil {
		return begun{}, err
	}
	return atOnce(func() (int64, error) {
		if s.listener != 0 {
			return 0, nil
		}
		local := s.local
		if local.Port == 0 {
			local = tcp.Endpoint{Addr: r.ours(s.v6)}
		}
		// A backlog of n is n+1 connections on Linux and BSD alike.
		s.backlog = int(max(backlog, 0)) + 1
		if err := r.listen(s, local); err != nil {
			return 0, err
		}
		r.focus, r.listening = nil, s
		return 0, nil
	})
}

// listen opens passively.
func (r *runner) listen(s *socket, local tcp.Endpoint) error {
	options := s.options
	options.FastOpen = r.set.serves(s)
	id, err := r.stack.Listen(local, s.backlog, &options)
	if err != nil {
		return err
	}
	s.listener = id
	var st tcp.ListenerStatus
	if err := r.stack.ListenerStatus(id, &st); err == nil {
		s.local = st.Local
	}
	return nil
}

// listenAnew lets options that were set behind listen count for what is accepted, as long as nobody has come: listeners of
// the engine keep theirs.
func (r *runner) listenAnew(s *socket) error {
	var st tcp.ListenerStatus
	if err := r.stack.ListenerStatus(s.listener, &st); err != nil || st.SynQueue > 0 || st.AcceptQueue > 0 {
		return err
	}
	if err := r.stack.CloseListener(r.now, s.listener); err != nil {
		return err
	}
	return r.listen(s, s.local)
}

func (r *runner) callAccept(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	var flags int64
	if len(c.Args) > 3 {
		if flags, err = c.number(3); err != nil {
			return begun{}, err
		}
	}
	return begun{dontWait: s.nonblocking, try: func() (int64, error) {
		if s.listener == 0 {
			return 0, errno("EINVAL")
		}
		id, err := r.stack.Accept(s.listener)
		if err != nil {
			return 0, err
		}
		child := &socket{
			v6: s.v6, options: s.options, conn: id, nonblocking: flags&constants["SOCK_NONBLOCK"] != 0,
			lingers: s.lingers, lingerFor: s.lingerFor, keepAlive: s.keepAlive, keepIdle: s.keepIdle,
			errs: errQueue{zeroCopy: s.errs.zeroCopy, stamping: s.errs.stamping},
		}
		st := r.status(child)
		child.local = st.Local
		child.flow = r.flowOf(st.Local, st.Remote)
		fd, err := r.install(child, c)
		r.observe()
		return fd, err
	}}, nil
}

func (r *runner) callConnect(c *Call) (begun, error) {
	s, err := r.socketOf(c)
	if err != nil {
		return begun{}, err
	}
	if len(c.Args) < 2 {
		return begun{}, failf(ParseError, 0, "connect wants an address")
	}
	if unspecified(&c.Args[1]) {
		return atOnce(func() (int64, error) { return 0, r.disconnect(s) })
	}
	remote, err := r.endpoint(&c.Args[1], tcp.Endpoint{Addr: r.theirs(s.v6), Port: defaultPort})
	if err != nil {
		return begun{}, err
	}
	if r.defers(s, remote) {
		return atOnce(func() (int64, error) {
			s.deferred = &remote
			return 0, nil
		})
	}
	first := true
	return begun{dontWait: s.nonblocking, try: func() (int64, error) {
		if s.conn == 0 {
			first = false
			return r.openActively(s, remote)
		}
		return r.connectAgain(s, first && s.nonblocking)
	}}, nil
}

// unspecified says whether an address is of the family AF_UNSPEC, which ends an association.
func unspecified(e *Expr) bool {
	family, ok := e.field("sa_family")
	return e.Text == "AF_UNSPEC" || ok && family.Text == "AF_UNSPEC"
}

// disconnect gives up a socket's connection and leaves it as it was made.
func (r *runner) disconnect(s *socket) error {
	if s.conn != 0 {
		_ = r.stack.Abort(r.now, s.conn) // of one that has ended there is nothing to abort
		s.conn, s.flow, s.connecting, s.reported = 0, nil, false, false
		s.peeked.Clear()
	}
	return r.changed()
}

// source is the address that a socket connects from.
func (r *runner) source(s *socket) wire.Addr {
	if s.local.Port != 0 {
		return s.local.Addr
	}
	return r.ours(s.v6)
}

// open begins to open, and lets nothing leave yet.
func (r *runner) open(s *socket, remote tcp.Endpoint) error {
	local := tcp.Endpoint{Addr: r.source(s), Port: s.local.Port}
	id, err := r.stack.Connect(r.now, local, remote, &s.options)
	if err != nil {
		return err
	}
	s.conn, s.connecting = id, true
	st := r.status(s)
	s.local = st.Local
	s.flow = r.flowOf(st.Local, st.Remote)
	s.flow.restarted, s.flow.peerKnown, s.flow.synSent, s.flow.sentTo = true, false, true, 0
	r.focus = s.flow
	return nil
}

func (r *runner) openActively(s *socket, remote tcp.Endpoint) (int64, error) {
	if err := r.open(s, remote); err != nil {
		return 0, err
	}
	if err := r.changed(); err != nil {
		return 0, err
	}
	if s.nonblocking {
		return 0, errno("EINPROGRESS")
	}
	return r.connectAgain(s, false)
}

// connectAgain tells how an open goes.
func (r *runner) connectAgain(s *socket, again bool) (int64, error) {
	st := r.status(s)
	switch {
	case established(&st) && s.connecting:
		s.connecting = false
		return 0, nil
	case established(&st):
		return 0, errno("EISCONN")
	case st.State != tcp.StateClosed && again:
		return 0, errno("EALREADY")
	case st.State != tcp.StateClosed:
		return 0, tcp.ErrWouldBlock
	}
	if err := r.pendingError(s); err != nil {
		return 0, err
	}
	return 0, errno("ECONNABORTED")
}
