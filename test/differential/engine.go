package differential

import (
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Engine is core/tcp under a virtual clock whose timers never run.
type Engine struct {
	lanes []*engineLane
}

// Name is what leeways call it.
func (*Engine) Name() string { return "starfish" }

// Open makes a stack for each lane.
func (e *Engine) Open(places []Place) ([]Lane, error) {
	e.lanes = e.lanes[:0]
	lanes := make([]Lane, 0, len(places))
	for _, p := range places {
		lane, err := newEngineLane(p)
		if err != nil {
			return nil, err
		}
		e.lanes = append(e.lanes, lane)
		lanes = append(lanes, lane)
	}
	return lanes, nil
}

// Settle lets a little time pass.
func (e *Engine) Settle() error {
	for _, l := range e.lanes {
		l.now = l.now.Add(stepTime)
	}
	return nil
}

const (
	stepTime = 10 * time.Millisecond
	// receiveBuffer gives windows as large as they are without window scale.
	receiveBuffer = 65_535
)

type engineLane struct {
	place    Place
	pool     *zbuf.Pool
	stack    *tcp.Stack
	now      tcp.Time
	listener tcp.ListenerID
	conn     tcp.ConnID
	sent     [][]byte
	transmit tcp.Transmit
}

func newEngineLane(p Place) (*engineLane, error) {
	l := &engineLane{place: p, pool: zbuf.NewPool(0), now: tcp.Time(time.Hour)}
	stack, err := tcp.New(tcp.Config{
		Pool: l.pool, Owns: func(a wire.Addr) bool { return a == p.Local.Addr },
		Limits: tcp.Limits{ChallengeAcks: 1_000_000, Connections: 64, Listeners: 4, TimeWait: 64},
		Defaults: tcp.Options{
			NoDelay: true, QuickAck: true, NoPacing: true, NoMTUProbing: true, Congestion: tcp.CongestionCubic,
			RecvBuffer: receiveBuffer, InitialRTO: time.Minute, MinRTO: time.Minute,
		},
	})
	l.stack = stack
	return l, err
}

func (l *engineLane) Deliver(packet []byte) error {
	s, ok := l.pool.Get(len(packet))
	if !ok {
		return tcp.ErrNoBuffers
	}
	copy(s.Bytes(), packet)
	l.stack.HandlePacket(l.now, tcp.Packet{Head: s})
	l.drain()
	return nil
}

// drain takes what the stack sends and tells.
func (l *engineLane) drain() {
	for {
		if l.stack.PollTransmit(l.now, &l.transmit) {
			b := append([]byte(nil), l.transmit.Header...)
			for _, s := range l.transmit.Payload {
				b = append(b, s.Bytes()...)
			}
			l.sent = append(l.sent, b)
			continue
		}
		var event tcp.Event
		if !l.stack.PollEvent(&event) {
			return
		}
	}
}

func (l *engineLane) Answers() [][]byte {
	sent := l.sent
	l.sent = nil
	return sent
}

func (l *engineLane) State() tcp.State {
	for _, id := range l.stack.Connections(nil) {
		var st tcp.Status
		if l.stack.OrphanStatus(id, &st) == nil && st.State != tcp.StateClosed {
			return st.State
		}
	}
	switch {
	case l.stack.TimeWaits() > 0:
		return tcp.StateTimeWait
	case l.stack.Handshakes() > 0:
		return tcp.StateSynReceived
	case l.listener != 0:
		return tcp.StateListen
	default:
		return tcp.StateClosed
	}
}

func (l *engineLane) Call(step Step) string {
	defer l.drain()
	var err error
	switch step {
	case Listen:
		if l.listener != 0 {
			return "EINVAL"
		}
		l.listener, err = l.stack.Listen(l.place.Local, 8, nil)
	case CloseListener:
		if l.listener == 0 {
			return noDescriptor
		}
		err = l.stack.CloseListener(l.now, l.listener)
		l.listener = 0
	case Accept:
		return l.accept()
	case Connect:
		if l.conn != 0 {
			return "EINVAL"
		}
		l.conn, err = l.stack.Connect(l.now, l.place.Local, l.place.Remote, nil)
	default:
		if l.conn == 0 {
			return noDescriptor
		}
		return l.callConn(step)
	}
	return outcomeOf(err)
}

// noDescriptor is what calls give on a connection or a listener that isn't there.
const noDescriptor = "EBADF"

func (l *engineLane) accept() string {
	switch {
	case l.listener == 0:
		return noDescriptor
	case l.conn != 0:
		return "EINVAL"
	}
	id, err := l.stack.Accept(l.listener)
	if err == nil {
		l.conn = id
	}
	return outcomeOf(err)
}

func (l *engineLane) callConn(step Step) string {
	var err error
	switch step {
	case Receive:
		return l.receive()
	case ShutdownWrite:
		err = l.stack.CloseWrite(l.now, l.conn)
	case ShutdownRead:
		err = l.stack.CloseRead(l.now, l.conn)
	case Close:
		err = l.stack.Close(l.now, l.conn)
		l.conn = 0
	case Abort:
		err = l.stack.Abort(l.now, l.conn)
		l.conn = 0
	default:
		return l.send(step.SendLength())
	}
	return outcomeOf(err)
}

func (l *engineLane) send(n int) string {
	var data zbuf.Chain
	defer data.Clear()
	if data.Append(l.pool, make([]byte, n)) < n {
		return outcomeOf(tcp.ErrNoBuffers)
	}
	taken, err := l.stack.Send(l.now, l.conn, &data)
	if err != nil {
		return outcomeOf(err)
	}
	return strconv.Itoa(taken)
}

func (l *engineLane) receive() string {
	var data zbuf.Chain
	defer data.Clear()
	n, err := l.stack.Receive(l.conn, &data, receiveBuffer)
	if err != nil {
		return outcomeOf(err)
	}
	l.stack.Consumed(l.now, l.conn, n)
	return strconv.Itoa(n)
}

func (l *engineLane) Close() error {
	if l.listener != 0 {
		if err := l.stack.CloseListener(l.now, l.listener); err != nil {
			return err
		}
	}
	for _, id := range l.stack.Connections(nil) {
		if err := l.stack.Abort(l.now, id); err != nil && !errors.Is(err, tcp.ErrNotFound) {
			return err
		}
	}
	return l.stack.Check()
}

// posixNames are the names in core/tcp/errors.go.
var posixNames = map[error]string{
	tcp.ErrNotFound: noDescriptor, tcp.ErrNotConnected: "ENOTCONN", tcp.ErrClosed: "EPIPE", tcp.ErrShutdown: "EPIPE",
	tcp.ErrWouldBlock: "EAGAIN", tcp.ErrRefused: "ECONNREFUSED", tcp.ErrReset: "ECONNRESET", tcp.ErrAborted: "ECONNABORTED",
	tcp.ErrAddrInUse: "EADDRINUSE", io.EOF: "EOF",
}

func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	for e, name := range posixNames {
		if errors.Is(err, e) {
			return name
		}
	}
	return err.Error()
}
