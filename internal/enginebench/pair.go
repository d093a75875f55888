package enginebench

import (
	"errors"
	"fmt"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

const (
	// buffer is the size of both ends' buffers.
	buffer = 4 << 20
	// leastSend is how much room the sender waits for: four super-segments.
	leastSend = 256 << 10
	// halfTrip is what packets need in one direction.
	halfTrip = 50 * time.Microsecond
	port     = 80
)

// Pair is two engines with an open connection from one to the other.
type Pair struct {
	link             Case
	now              tcp.Time
	sender, receiver end
	packets          []tcp.Packet
	data             int // packets with data so far
}

// end is one engine and its end of the connection.
type end struct {
	addr  wire.Addr
	stack *tcp.Stack
	pool  *zbuf.Pool
	conn  tcp.ConnID
	out   tcp.Transmit
	// piece is what the sender sends, again and again, and chain where the receiver puts what comes.
	piece zbuf.Slice
	chain zbuf.Chain
}

// New opens a connection over the link.
func New(link Case) (*Pair, error) {
	p := &Pair{link: link, now: tcp.Time(time.Second)}
	for e, addr := range map[*end]wire.Addr{
		&p.sender: wire.Addr4([4]byte{10, 0, 0, 1}), &p.receiver: wire.Addr4([4]byte{10, 0, 0, 2}),
	} {
		if err := e.open(addr, &p.link); err != nil {
			return nil, err
		}
	}
	listener, err := p.receiver.stack.Listen(tcp.Endpoint{Addr: p.receiver.addr, Port: port}, 0, options())
	if err != nil {
		return nil, err
	}
	p.sender.conn, err = p.sender.stack.Connect(p.now, tcp.Endpoint{Addr: p.sender.addr},
		tcp.Endpoint{Addr: p.receiver.addr, Port: port}, options())
	if err != nil {
		return nil, err
	}
	p.carry(&p.sender, &p.receiver)
	p.now = p.now.Add(link.Handshake)
	for p.carry(&p.receiver, &p.sender) || p.carry(&p.sender, &p.receiver) {
	}
	p.receiver.conn, err = p.receiver.stack.Accept(listener)
	return p, err
}

// options fix the buffers, so that each run begins with the same.
func options() *tcp.Options { return &tcp.Options{SendBuffer: buffer, RecvBuffer: buffer} }

func (e *end) open(addr wire.Addr, link *Case) (err error) {
	e.addr, e.pool = addr, zbuf.NewPool(0)
	e.piece, _ = e.pool.Get(zbuf.MaxBlock)
	e.stack, err = tcp.New(tcp.Config{
		Pool: e.pool, Owns: func(a wire.Addr) bool { return a == addr },
		SegmentationOffload4: link.Super, ChecksumOffload: !link.Checksums,
	})
	return err
}

// Now is the simulated time.
func (p *Pair) Now() time.Duration { return time.Duration(p.now) }

// Segments returns how many segments the sender has sent.
func (p *Pair) Segments() uint64 { return p.sender.stack.Stats().OutSegs }

// Transfer moves n bytes, which are copied once: by the link, as a device does.
func (p *Pair) Transfer(n int) error {
	for sent, got := 0, 0; got < n; {
		if room := min(n-sent, p.sender.stack.SendSpace(p.sender.conn)); room > 0 && (room >= leastSend || room == n-sent) {
			taken, err := p.sender.send(p.now, room)
			if err != nil {
				return err
			}
			sent += taken
		}
		p.now = p.now.Add(halfTrip)
		moved := p.carry(&p.sender, &p.receiver)
		taken, err := p.receiver.receive(p.now)
		if err != nil {
			return err
		}
		got += taken
		p.now = p.now.Add(halfTrip)
		if moved = p.carry(&p.receiver, &p.sender) || moved; !moved {
			p.awaitTimer()
		}
		p.sender.dropEvents()
		p.receiver.dropEvents()
	}
	return nil
}

// awaitTimer lets time pass until an engine has something to do.
func (p *Pair) awaitTimer() {
	p.now = max(p.now, min(p.sender.stack.PollTimeout(), p.receiver.stack.PollTimeout()))
	p.sender.stack.HandleTimeout(p.now)
	p.receiver.stack.HandleTimeout(p.now)
}

// carry takes one batch of packets from one end to the other.
func (p *Pair) carry(from, to *end) bool {
	p.packets = p.packets[:0]
	for len(p.packets) < p.link.Batch && from.stack.PollTransmit(p.now, &from.out) {
		if from.out.PayloadLen > 0 && p.link.LossEvery > 0 {
			if p.data++; p.data%p.link.LossEvery == 0 {
				continue
			}
		}
		p.packets = append(p.packets, to.copyOf(&from.out))
	}
	for i := range p.packets {
		if p.link.Reversed {
			i = len(p.packets) - 1 - i
		}
		to.stack.HandlePacket(p.now, p.packets[i])
	}
	return len(p.packets) > 0
}

func (e *end) copyOf(t *tcp.Transmit) tcp.Packet {
	head, ok := e.pool.Get(len(t.Header) + t.PayloadLen)
	if !ok {
		panic("enginebench: a pool without a limit is exhausted")
	}
	b := head.Bytes()
	b = b[copy(b, t.Header):]
	for _, piece := range t.Payload {
		b = b[copy(b, piece.Bytes()):]
	}
	return tcp.Packet{Head: head, SegmentSize: t.SegmentSize, Trusted: t.ChecksumPartial}
}

func (e *end) send(now tcp.Time, n int) (int, error) {
	var chain zbuf.Chain
	for left := n; left > 0; {
		k := min(left, e.piece.Len())
		chain.Push(e.piece.Sub(0, k).Retain())
		left -= k
	}
	defer chain.Clear()
	return e.stack.Send(now, e.conn, &chain)
}

func (e *end) receive(now tcp.Time) (int, error) {
	n, err := e.stack.Receive(e.conn, &e.chain, buffer)
	if errors.Is(err, tcp.ErrWouldBlock) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("receive: %w", err)
	}
	e.chain.Clear()
	e.stack.Consumed(now, e.conn, n)
	return n, nil
}

func (e *end) dropEvents() {
	var ev tcp.Event
	for e.stack.PollEvent(&ev) {
	}
}
