package packetdrill

import (
	"encoding/binary"

	"github.com/MUCZ/Starfish/core/seqnum"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// engine is the stack under test and its clock.
type engine struct {
	stack    *tcp.Stack
	pool     *zbuf.Pool
	now      tcp.Time
	sent     []sentPacket // left, and not looked at by the script yet
	transmit tcp.Transmit
	onChange func() // is called after everything that may have changed a connection
	// promised is where the window ends that was announced last, by ports.
	promised map[[2]uint16]promise
}

// sentPacket is a packet that left.
type sentPacket struct {
	at      tcp.Time
	ip      wire.IP
	seg     wire.Segment
	options []byte
	payload int
}

// promise is a window that was announced, as it stands in a header.
type promise struct {
	ack    seqnum.Value
	window uint16
}

const (
	// startOfTime is when a script begins, so that a script's times are never zero for the engine.
	startOfTime tcp.Time = 1_000_000_000_000
	// poolLimit bounds the bytes of one script.
	poolLimit = 64 << 20
	// maxSteps bounds timers and packets between two events of a script.
	maxSteps = 200_000
)

// newEngine returns an engine whose stack has not begun.
func newEngine() *engine {
	return &engine{pool: zbuf.NewPool(poolLimit), now: startOfTime, onChange: func() {}, promised: map[[2]uint16]promise{}}
}

// restart makes the stack, anew if there was one.
func (e *engine) restart(s *settings) error {
	cfg := s.config
	cfg.Pool = e.pool
	local := s.local
	// A listener's SYN-ACKs go by the stack's times.
	cfg.Defaults = tcp.Options{InitialRTO: s.options.InitialRTO, MaxRTO: s.options.MaxRTO}
	cfg.Owns = func(a wire.Addr) bool { return a == local[0] || a == local[1] }
	stack, err := tcp.New(cfg)
	if err != nil {
		return failf(Unsupported, 0, "these settings: %v", err)
	}
	e.stack = stack
	return nil
}

// inUse says whether the stack has something that a new one would not have.
func (e *engine) inUse() bool {
	return len(e.stack.Connections(nil)) > 0 || len(e.stack.Listeners(nil)) > 0 || e.stack.TimeWaits() > 0 || e.stack.Handshakes() > 0
}

// drain takes what the stack sends and tells.
func (e *engine) drain() error {
	for range maxSteps {
		if e.stack.PollTransmit(e.now, &e.transmit) {
			if err := e.take(&e.transmit); err != nil {
				return err
			}
			continue
		}
		var event tcp.Event
		if !e.stack.PollEvent(&event) {
			return nil
		}
	}
	return failf(WrongPacket, 0, "the engine keeps sending without end")
}

// changed is called after every call into the stack.
func (e *engine) changed() error {
	if err := e.drain(); err != nil {
		return err
	}
	e.onChange()
	return e.drain()
}

// take notes a packet that left, and checks what has to be right in each.
func (e *engine) take(t *tcp.Transmit) error {
	b := append([]byte(nil), t.Header...)
	for _, s := range t.Payload {
		b = append(b, s.Bytes()...)
	}
	p := sentPacket{at: e.now}
	if problem := wire.ParseIP(b, &p.ip); problem != wire.None || p.ip.TotalLen != len(b) {
		return failf(WrongPacket, 0, "a packet with a bad network header left: %v", problem)
	}
	segment := b[p.ip.HeaderLen:]
	if problem := wire.ParseSegment(segment, &p.seg); problem != wire.None {
		return failf(WrongPacket, 0, "a packet with a bad TCP header left: %v", problem)
	}
	if !wire.ChecksumOK(p.ip.Src, p.ip.Dst, wire.TCP, segment, nil) {
		return failf(WrongPacket, 0, "a packet with a wrong checksum left")
	}
	p.options = segment[wire.TCPHeaderLen:p.seg.HeaderLen]
	p.payload = len(segment) - p.seg.HeaderLen
	if p.seg.Flags.Has(wire.ACK) && !p.seg.Flags.Has(wire.RST) {
		e.promised[[2]uint16{p.seg.SrcPort, p.seg.DstPort}] = promise{p.seg.Ack, p.seg.Window}
	}
	e.sent = append(e.sent, p)
	return nil
}

// deliver lets a packet arrive, or several segments of size bytes joined to one.
func (e *engine) deliver(b []byte, size int) error {
	s, ok := e.pool.Get(len(b))
	if !ok {
		return failf(Unsupported, 0, "a packet of %d bytes", len(b))
	}
	copy(s.Bytes(), b)
	e.stack.HandlePacket(e.now, tcp.Packet{Head: s, SegmentSize: size})
	return e.changed()
}

// step runs the next timer that is due up to end, or moves the clock there. It reports whether there was one.
func (e *engine) step(end tcp.Time) (bool, error) {
	if e.stack == nil {
		e.now = max(e.now, end)
		return false, nil
	}
	deadline := e.stack.PollTimeout()
	if deadline > end {
		e.now = max(e.now, end)
		return false, nil
	}
	e.now = max(e.now, deadline)
	e.stack.HandleTimeout(e.now)
	return true, e.changed()
}

// advance moves the clock to end, and runs every timer on the way.
func (e *engine) advance(end tcp.Time) error {
	for range maxSteps {
		if more, err := e.step(end); !more || err != nil {
			return err
		}
	}
	return failf(WrongTime, 0, "timers without end")
}

// waitSent moves the clock until a packet has left, at most to end. It reports whether one has.
func (e *engine) waitSent(end tcp.Time) (bool, error) {
	for range maxSteps {
		if len(e.sent) > 0 {
			return true, nil
		}
		if more, err := e.step(end); !more || err != nil {
			return len(e.sent) > 0, err
		}
	}
	return false, failf(WrongTime, 0, "timers without end")
}

// buildTCP makes the bytes of a packet, its options exactly as given.
func buildTCP(ip *wire.IP, seg *wire.Segment, options []byte, payload int) []byte {
	padded := (len(options) + 3) &^ 3
	header := wire.TCPHeaderLen + padded
	b := make([]byte, wire.MaxHeaderLen+header+payload)
	n := wire.PutIP(b, ip, header+payload)
	b = b[:n+header+payload]
	segment := b[n:]
	wire.PutSegment(segment, seg)
	copy(segment[wire.TCPHeaderLen:], options)
	segment[12] = byte(header/4)<<4 | segment[12]&0xf
	putChecksum(segment, wire.TCPChecksumOffset, wire.PseudoHeaderSum(ip.Src, ip.Dst, wire.TCP, len(segment)))
	return b
}

func putChecksum(b []byte, offset int, initial uint32) {
	binary.BigEndian.PutUint16(b[offset:], ^wire.Fold(wire.Sum(initial, b)))
}
