package tcp

import (
	"fmt"
	"math"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Config is what a Stack is made with. A zero field means the default that stands beside it.
type Config struct {
	// Pool gives the buffers that the engine itself needs. Required.
	Pool *zbuf.Pool
	// Owns says whether an address belongs to this stack. Required. It must be a pure function.
	Owns func(wire.Addr) bool
	// Secret keys the hashes behind initial sequence numbers, ports and timestamps (RFC 6528 §3). Draw it from a
	// good random source, once.
	Secret [16]byte
	// MTU is the largest packet that the link carries. Default 1500.
	MTU int
	// SegmentationOffload4 and 6 say that the link takes super-segments of up to 64 KiB.
	SegmentationOffload4, SegmentationOffload6 bool
	// ChecksumOffload says that the link completes transport checksums.
	ChecksumOffload bool
	// Shard and Shards: this stack has the flows with FlowHash % Shards == Shard. Default 0 of 1.
	Shard, Shards int
	// FirstPort and LastPort bound ephemeral ports (RFC 6056 §3.2). Default 32768 to 60999, as Linux.
	FirstPort, LastPort uint16
	// Defaults stand in for unset options of connections.
	Defaults Options
	Limits   Limits
	// RecvBuffer and SendBuffer are the sizes of the buffers of connections whose options don't fix them.
	RecvBuffer, SendBuffer Autotuning
	// InitialWindow is in segments (RFC 6928: 10).
	InitialWindow int
	// DelayedAck is the longest time that an ACK waits for company. Default 40 ms; RFC 9293 MUST-40 says < 500 ms.
	DelayedAck time.Duration
	// QuickAcks is how many of a connection's first segments are acknowledged at once, so that the peer's slow start is
	// not slowed by our delay. Default 16, as Linux's TCP_MAX_QUICKACKS; negative for none, at most 255.
	QuickAcks int
	// TimeWait is 2 MSL (RFC 9293 §3.4.2). Default 60 s, as Linux.
	TimeWait time.Duration
	// FinWait2 bounds the wait for the peer's FIN after the user has closed. Default 60 s, as Linux.
	FinWait2 time.Duration
	// SynCookies says when listeners answer SYNs without remembering them. Default auto.
	SynCookies SynCookies
	// AccECNOption says when connections with Accurate ECN send its TCP option. Default needed.
	AccECNOption AccECNOption
	// Choices are where RFCs allow another answer.
	Choices Choices
}

// Autotuning is how a buffer that tunes itself begins and how far it grows, in bytes. A zero field means the default: 128 KiB
// and 32 MiB.
type Autotuning struct{ Initial, Max int }

func (a *Autotuning) setDefaults() {
	orDefault(&a.Max, max(a.Initial, 32<<20)) // Linux's tcp_rmem: 1 Gbit/s over 250 ms
	orDefault(&a.Initial, min(a.Max, 128<<10))
}

func (a *Autotuning) validate(name string) error {
	if a.Initial < MinBuffer || a.Max > MaxBuffer || a.Initial > a.Max {
		return fmt.Errorf("%w: %s buffer of %d to %d bytes is not within %d to %d", ErrInvalid, name, a.Initial, a.Max, MinBuffer, MaxBuffer)
	}
	return nil
}

// Limits bound what one Stack holds. A zero field means the default.
type Limits struct {
	Connections     int   // established or opening by us; default 1,200,000
	Listeners       int   // default 65,536
	SynQueue        int   // handshakes in progress per listener, beyond which SynCookies decides; default 4,096
	AcceptQueue     int   // default backlog of a listener when the user names none; default 4,096
	FastOpenQueue   int   // connections by TCP Fast Open of one listener before their first ACK (RFC 7413 §5.1); default 256
	FastOpenCookies int   // of listeners that we connect to; the oldest goes first; default 4,096
	TimeWait        int   // records; the oldest goes first; default 262,144
	Orphans         int   // connections that their users have closed and that are still on the wire; default 65,536
	OutOfOrder      int   // runs of data in one reassembly queue, with a gap before each; default 1,024
	SentSegments    int   // records of one scoreboard; default 16,384
	ReceiveMemory   int64 // bytes that connections hold for their users or have promised to take; default: half the pool's limit, divided by the shards
	ResetsPerSec    int   // RSTs for what matches nothing, and other replies to strangers; default 10,000
	ChallengeAcks   int   // per connection and second; RFC 5961 §7; default 10
	DroppedReplies  int   // replies waiting to be sent; default 1,024
}

func (c *Config) setDefaults() error {
	if c.Pool == nil || c.Owns == nil {
		return fmt.Errorf("%w: Config needs Pool and Owns", ErrInvalid)
	}
	defaults := DefaultOptions()
	c.Defaults = c.Defaults.withDefaults(&defaults)
	orDefault(&c.MTU, 1500)
	orDefault(&c.Shards, 1)
	orDefault(&c.FirstPort, 32768)
	orDefault(&c.LastPort, 60999)
	c.RecvBuffer.setDefaults()
	c.SendBuffer.setDefaults()
	orDefault(&c.InitialWindow, 10)
	orDefault(&c.DelayedAck, 40*time.Millisecond)
	orDefault(&c.QuickAcks, 16)
	orDefault(&c.TimeWait, time.Minute)
	orDefault(&c.FinWait2, time.Minute)
	l := &c.Limits
	orDefault(&l.Connections, 1_200_000)
	orDefault(&l.Listeners, 65_536)
	orDefault(&l.SynQueue, 4096)
	orDefault(&l.AcceptQueue, 4096)
	orDefault(&l.FastOpenQueue, 256)
	orDefault(&l.FastOpenCookies, 4096)
	orDefault(&l.TimeWait, 262_144)
	orDefault(&l.Orphans, 65_536)
	orDefault(&l.OutOfOrder, 1024)
	orDefault(&l.SentSegments, 16_384)
	orDefault(&l.ReceiveMemory, max(c.Pool.Limit()/2/int64(c.Shards), 1))
	orDefault(&l.ResetsPerSec, 10_000)
	orDefault(&l.ChallengeAcks, 10)
	orDefault(&l.DroppedReplies, 1024)
	if err := c.validate(); err != nil {
		return err
	}
	// Less than one unit of the window scale could not be announced.
	c.RecvBuffer.Initial = max(c.RecvBuffer.Initial, 1<<windowScaleFor(c.RecvBuffer.Max))
	return nil
}

// validate reports the first field that is out of its range.
func (c *Config) validate() error {
	l := &c.Limits
	switch {
	case c.MTU < minMTU || c.MTU > maxMTU:
		return fmt.Errorf("%w: MTU %d is outside %d to %d", ErrInvalid, c.MTU, minMTU, maxMTU)
	case c.FirstPort > c.LastPort:
		return fmt.Errorf("%w: ephemeral ports %d to %d", ErrInvalid, c.FirstPort, c.LastPort)
	case c.Shard < 0 || c.Shard >= c.Shards:
		return fmt.Errorf("%w: shard %d of %d", ErrInvalid, c.Shard, c.Shards)
	case c.SynCookies >= numSynCookies:
		return fmt.Errorf("%w: %v", ErrInvalid, c.SynCookies)
	case c.AccECNOption >= numAccECNOption:
		return fmt.Errorf("%w: %v", ErrInvalid, c.AccECNOption)
	case c.DelayedAck < 0 || c.DelayedAck >= 500*time.Millisecond:
		return fmt.Errorf("%w: delayed ACK %v is outside 0 to 500ms (RFC 9293 MUST-40)", ErrInvalid, c.DelayedAck)
	case c.QuickAcks > math.MaxUint8:
		return fmt.Errorf("%w: %d quick ACKs are more than %d", ErrInvalid, c.QuickAcks, math.MaxUint8)
	}
	for _, n := range []int64{
		int64(c.InitialWindow), int64(c.TimeWait), int64(c.FinWait2), int64(l.Connections), int64(l.Listeners),
		int64(l.SynQueue), int64(l.AcceptQueue), int64(l.TimeWait), int64(l.Orphans), int64(l.FastOpenQueue), int64(l.FastOpenCookies), int64(l.OutOfOrder), int64(l.SentSegments),
		l.ReceiveMemory, int64(l.ResetsPerSec), int64(l.ChallengeAcks), int64(l.DroppedReplies),
	} {
		if n < 0 {
			return fmt.Errorf("%w: a limit or time of %d", ErrInvalid, n)
		}
	}
	if most := int(time.Second); l.ResetsPerSec > most || l.ChallengeAcks > most {
		return fmt.Errorf("%w: more than one reply a nanosecond", ErrInvalid)
	}
	if err := c.Choices.validate(); err != nil {
		return err
	}
	if err := c.RecvBuffer.validate("receive"); err != nil {
		return err
	}
	if err := c.SendBuffer.validate("send"); err != nil {
		return err
	}
	return c.Defaults.Validate()
}

const (
	minMTU = 296    // an IPv4 link below this can't carry a useful segment; Linux's min_pmtu is 552
	maxMTU = 65_535 // what an IP length field holds
)
