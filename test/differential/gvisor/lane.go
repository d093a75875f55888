package gvisor

import (
	"bytes"
	"fmt"
	"strconv"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	gtcp "gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/test/differential"
)

// noDescriptor is what calls give on a connection or a listener that isn't there.
const noDescriptor = "EBADF"

type lane struct {
	place    differential.Place
	clock    *clock
	link     *channel.Endpoint
	stack    *stack.Stack
	listener tcpip.Endpoint
	conn     tcpip.Endpoint
}

// Deliver implements differential.Lane.
func (l *lane) Deliver(packet []byte) error {
	p := payload(packet)
	l.link.InjectInbound(ipv4.ProtocolNumber, p)
	p.DecRef()
	return nil
}

// Answers implements differential.Lane.
func (l *lane) Answers() [][]byte {
	var sent [][]byte
	for p := l.link.Read(); p != nil; p = l.link.Read() {
		sent = append(sent, bytes.Clone(p.ToView().AsSlice()))
		p.DecRef()
	}
	return sent
}

var states = map[gtcp.EndpointState]tcp.State{
	gtcp.StateEstablished: tcp.StateEstablished, gtcp.StateSynSent: tcp.StateSynSent, gtcp.StateSynRecv: tcp.StateSynReceived,
	gtcp.StateFinWait1: tcp.StateFinWait1, gtcp.StateFinWait2: tcp.StateFinWait2, gtcp.StateTimeWait: tcp.StateTimeWait,
	gtcp.StateCloseWait: tcp.StateCloseWait, gtcp.StateLastAck: tcp.StateLastAck, gtcp.StateListen: tcp.StateListen,
	gtcp.StateClosing: tcp.StateClosing, gtcp.StateConnecting: tcp.StateSynSent,
}

// State implements differential.Lane.
func (l *lane) State() tcp.State {
	state := tcp.StateClosed
	for _, e := range l.stack.RegisteredEndpoints() {
		ep, ok := e.(*gtcp.Endpoint)
		if !ok {
			continue
		}
		switch s := states[ep.EndpointState()]; {
		case s == tcp.StateListen && state == tcp.StateClosed:
			state = s
		case s != tcp.StateListen && s != tcp.StateClosed:
			return s
		}
	}
	return state
}

// Call implements differential.Lane.
func (l *lane) Call(step differential.Step) string {
	switch step {
	case differential.Listen:
		return l.listen()
	case differential.Connect:
		return l.connect()
	case differential.Accept:
		return l.accept()
	case differential.CloseListener:
		if l.listener == nil {
			return noDescriptor
		}
		l.listener.Close()
		l.listener = nil
		return "ok"
	default:
		if l.conn == nil {
			return noDescriptor
		}
		return l.callConn(step)
	}
}

func (l *lane) local() tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(l.place.Local.Addr.As4()), Port: l.place.Local.Port}
}

// open makes a bound endpoint.
func (l *lane) open() (tcpip.Endpoint, tcpip.Error) {
	ep, err := l.stack.NewEndpoint(gtcp.ProtocolNumber, ipv4.ProtocolNumber, &waiter.Queue{})
	if err != nil {
		return nil, err
	}
	ep.SocketOptions().SetReuseAddress(true)
	ep.SocketOptions().SetDelayOption(false)
	return ep, ep.Bind(l.local())
}

func (l *lane) listen() string {
	if l.listener != nil {
		return "EINVAL"
	}
	ep, err := l.open()
	if err == nil {
		err = ep.Listen(8)
	}
	if err == nil {
		l.listener = ep
	}
	return outcome(err)
}

func (l *lane) connect() string {
	if l.conn != nil {
		return "EINVAL"
	}
	ep, err := l.open()
	if err == nil {
		err = ep.Connect(tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(l.place.Remote.Addr.As4()), Port: l.place.Remote.Port})
		if _, started := err.(*tcpip.ErrConnectStarted); started {
			err = nil
		}
	}
	if err == nil {
		l.conn = ep
	}
	return outcome(err)
}

func (l *lane) accept() string {
	switch {
	case l.listener == nil:
		return noDescriptor
	case l.conn != nil:
		return "EINVAL"
	}
	ep, _, err := l.listener.Accept(nil)
	if err == nil {
		ep.SocketOptions().SetDelayOption(false)
		l.conn = ep
	}
	return outcome(err)
}

func (l *lane) callConn(step differential.Step) string {
	switch step {
	case differential.Receive:
		return l.receive()
	case differential.ShutdownWrite:
		return outcome(l.conn.Shutdown(tcpip.ShutdownWrite))
	case differential.ShutdownRead:
		return outcome(l.conn.Shutdown(tcpip.ShutdownRead))
	case differential.Close:
		l.conn.Close()
	case differential.Abort:
		l.conn.SocketOptions().SetLinger(tcpip.LingerOption{Enabled: true})
		l.conn.Close()
	default:
		n, err := l.conn.Write(bytes.NewReader(make([]byte, step.SendLength())), tcpip.WriteOptions{})
		return count(int(n), err)
	}
	l.conn = nil
	return "ok"
}

// receive reads all there is: netstack gives a segment at a time.
func (l *lane) receive() string {
	total := 0
	for {
		result, err := l.conn.Read(&bytes.Buffer{}, tcpip.ReadOptions{})
		total += result.Count
		if err != nil && total > 0 || err == nil && result.Count == 0 {
			return strconv.Itoa(total)
		}
		if err != nil {
			return outcome(err)
		}
	}
}

// Close implements differential.Lane.
func (l *lane) Close() error {
	for _, ep := range []tcpip.Endpoint{l.conn, l.listener} {
		if ep != nil {
			ep.Abort()
		}
	}
	l.link.Close()
	l.stack.Destroy()
	return nil
}

func count(n int, err tcpip.Error) string {
	if err != nil {
		return outcome(err)
	}
	return strconv.Itoa(n)
}

func outcome(err tcpip.Error) string {
	switch err.(type) {
	case nil:
		return "ok"
	case *tcpip.ErrWouldBlock:
		return "EAGAIN"
	case *tcpip.ErrClosedForReceive:
		return "EOF"
	default:
		return fmt.Sprint(err)
	}
}
