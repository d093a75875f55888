package stack

import (
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Direction is the way that a packet goes.
type Direction uint8

// The directions.
const (
	In       Direction = iota // from the device
	Out                       // to the device
	Internal                  // from the Stack to itself
)

// String names the direction.
func (d Direction) String() string {
	switch d {
	case In:
		return "in"
	case Out:
		return "out"
	case Internal:
		return "internal"
	}
	return "unknown"
}

// Tapped is one packet, or super-segment, as a tap sees it. All of it is valid during the call only.
type Tapped struct {
	Direction   Direction
	Time        tcp.Time
	Shard       int
	Header      []byte       // network and transport header; of a packet that came in, payload may follow
	Payload     []zbuf.Slice // the rest
	SegmentSize int          // payload bytes of each segment of a super-segment, else 0
}

// Tap is shown packets. It is called on a shard's goroutine and holds that up for as long as it takes.
type Tap func(Tapped)

// SetTap has tap see every packet from now on; nil ends that. Without a tap, a packet costs one atomic load.
func (s *Stack) SetTap(tap Tap) {
	if tap == nil {
		s.tap.Store(nil)
		return
	}
	s.tap.Store(&tap)
}

func (s *shard) tapIn(tap Tap, p *tun.Packet) {
	t := Tapped{Direction: In, Time: s.now, Shard: s.index, Header: p.Head.Bytes(), SegmentSize: p.Meta.SegmentSize}
	if p.Body.Len() > 0 {
		t.Payload = []zbuf.Slice{p.Body}
	}
	tap(t)
}
