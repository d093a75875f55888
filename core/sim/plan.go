package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// plan is everything that a scenario's seed decides: two hosts, the link between them and the connections over it.
type plan struct {
	v6    bool
	hosts [2]HostConfig
	links [2]Link // from host 0, and to it
	conns []connPlan

	restart *restartPlan // nil for none
}

// connPlan is one connection.
type connPlan struct {
	opens       [2]bool // which ends open actively; both is a simultaneous open
	openAt      time.Duration
	acceptDelay time.Duration
	users       [2]userPlan
	ports       [2]uint16
	contentKeys [2]content // of what each end sends
}

// polite reports whether both ends read to the end and close in order, so that nothing may be lost.
func (c *connPlan) polite() bool { return c.users[0].polite() && c.users[1].polite() }

// ending is how a user leaves a connection.
type ending uint8

const (
	endHalfClose ending = iota // FIN after its data; reads on to the end of the stream
	endAnswer                  // reads to the end of the stream, then FIN
	endClose                   // lets go after its data, without waiting for the peer's
	endAbort                   // RST after so many bytes received or sent
	numEndings
)

// userPlan is what the user of one end does.
type userPlan struct {
	options    tcp.Options
	total      int // bytes to send
	piece      int // bytes of one Send at most
	sendPause  time.Duration
	limit      int // bytes of one Receive at most
	readPause  time.Duration
	hold       time.Duration // from Receive to Consumed
	stallAfter int           // bytes received, after which it reads nothing for the time of
	stall      time.Duration
	ending     ending
	abortAfter int  // bytes either way
	deaf       bool // CloseRead after half of what it would read
}

func (u *userPlan) polite() bool {
	return !u.deaf && (u.ending == endHalfClose || u.ending == endAnswer)
}

// dice draws what a plan is made of.
type dice struct{ *rand.Rand }

func (d dice) oneIn(n int) bool { return d.IntN(n) == 0 }

// scale draws from low to high so that every order of magnitude is as likely.
func (d dice) scale(low, high int) int {
	l, h := math.Log(float64(low)), math.Log(float64(high)+1)
	return min(high, int(math.Exp(l+d.Float64()*(h-l))))
}

func (d dice) duration(low, high time.Duration) time.Duration {
	return time.Duration(d.scale(int(low), int(high)))
}

func pick[T any](d dice, list ...T) T { return list[d.IntN(len(list))] }

// draw makes the plan of a seed.
func draw(rng *rand.Rand) *plan {
	d := dice{rng}
	p := &plan{v6: d.oneIn(2)}
	whole := d.oneIn(6)
	for i := range p.hosts {
		p.hosts[i] = d.host(p.v6, byte(i+1))
	}
	mtu := min(p.hosts[0].Stack.MTU, p.hosts[1].Stack.MTU)
	harsh := d.oneIn(2)
	for i := range p.links {
		p.links[i] = d.link(p.v6, mtu, harsh, whole)
	}
	for i := range pick(d, 1, 1, 1, 2, 3) {
		p.conns = append(p.conns, d.conn(i))
	}
	p.bound()
	for i := range p.conns {
		p.conns[i].avoidDeadlock(d)
	}
	for side := range p.hosts {
		if d.oneIn(3) && p.speakFirst(1-side) {
			p.hosts[side].Stack.SynCookies = tcp.SynCookiesAlways
		}
	}
	d.trouble(p)
	p.accECNOption(d)
	return p
}

// accECNOption draws when Accurate ECN's option is sent, and what becomes of it. Where it always goes with what is dropped for it,
// no probe of an idle connection would be answered.
func (p *plan) accECNOption(d dice) {
	boxes := []Middlebox{MiddleboxStrips, MiddleboxClears, MiddleboxDrops}
	for i := range p.hosts {
		when := pick(d, tcp.AccECNOptionNeeded, tcp.AccECNOptionNeeded, tcp.AccECNOptionAlways, tcp.AccECNOptionNever)
		p.hosts[i].Stack.AccECNOption = when
		if when == tcp.AccECNOptionAlways {
			boxes = []Middlebox{MiddleboxStrips, MiddleboxClears}
		}
	}
	for i := range p.links {
		if d.oneIn(6) {
			p.links[i].AccECN = pick(d, boxes...)
		}
	}
}

// speakFirst reports whether a host says something on every connection that it opens alone. The other end has nothing but
// a cookie until then: were the ACK of the handshake lost, it would never know.
func (p *plan) speakFirst(host int) bool {
	for i := range p.conns {
		c := &p.conns[i]
		u := &c.users[host]
		if c.opens[host] && (!c.polite() || u.total == 0 && u.ending == endAnswer) {
			return false
		}
	}
	return true
}

func (d dice) host(v6 bool, n byte) HostConfig {
	cfg := HostConfig{
		Batch: pick(d, 0, 0, 20*time.Microsecond, time.Millisecond),
		Join:  d.oneIn(2),
		Split: pick(d, 0, 0, 0.5, 1),
		Stack: tcp.Config{
			MTU:             pick(d, 1500, 1500, 1500, 1280+d.IntN(300), 9000, 65_535),
			ChecksumOffload: d.oneIn(4),
			DelayedAck:      pick(d, 0, 0, time.Millisecond, 200*time.Millisecond),
			TimeWait:        pick(d, 0, 0, 2*time.Minute),
			InitialWindow:   pick(d, 0, 0, 0, 1, 2),
		},
	}
	if !v6 && d.oneIn(4) {
		cfg.Stack.MTU = 576
	}
	if d.oneIn(2) {
		cfg.Stack.SegmentationOffload4, cfg.Stack.SegmentationOffload6 = true, true
	}
	if d.oneIn(8) {
		cfg.Stack.Limits.OutOfOrder = 1 + d.IntN(8)
	}
	if d.oneIn(8) {
		cfg.Stack.Limits.SentSegments = 16 + d.IntN(64)
	}
	cfg.Stack.RecvBuffer, cfg.Stack.SendBuffer = d.tuning(), d.tuning()
	if d.oneIn(4) {
		cfg.Stack.Limits.ReceiveMemory = int64(d.scale(1, 1<<20))
	}
	if v6 {
		cfg.Addrs = []wire.Addr{wire.Addr16([16]byte{0xfd, 15: n})}
	} else {
		cfg.Addrs = []wire.Addr{wire.Addr4([4]byte{10, 0, 0, n})}
	}
	return cfg
}

func (d dice) link(v6 bool, mtu int, harsh, whole bool) Link {
	l := Link{Delay: pick(d, 0, d.duration(time.Microsecond, time.Millisecond), d.duration(time.Millisecond, 300*time.Millisecond))}
	l.Whole = whole
	if d.oneIn(3) {
		l.Rate = int64(d.scale(1_000_000, 1_000_000_000))
		l.Queue = d.scale(2*mtu, 100*mtu)
		if whole {
			l.Queue = 1 << 20
		}
	}
	if !whole && d.oneIn(4) {
		low := 576
		if v6 {
			low = 1280
		}
		l.MTU = low + d.IntN(max(1, mtu-low+1))
		l.BlackHole = d.oneIn(3)
	}
	if harsh {
		d.impair(&l)
	}
	if d.oneIn(3) {
		l.Mark = pick(d, 0.01, 0.1, 0.5, 1)
	}
	l.Bleach = d.oneIn(20)
	return l
}

// impair adds some of what a bad link does.
func (d dice) impair(l *Link) {
	if d.oneIn(2) {
		l.Loss = pick(d, 0.001, 0.01, 0.05, 0.2, 0.3)
	}
	if d.oneIn(4) {
		l.Burst = Burst{Enter: 0.01 + 0.05*d.Float64(), Leave: 0.1 + 0.5*d.Float64(), LossBad: 0.5 + 0.5*d.Float64()}
	}
	if d.oneIn(3) {
		l.Duplicate = pick(d, 0.01, 0.1, 0.5)
	}
	if d.oneIn(2) {
		l.Reorder, l.ReorderDelay = pick(d, 0.01, 0.1, 0.5), d.duration(100*time.Microsecond, 500*time.Millisecond)
	}
	if d.oneIn(3) {
		l.Jitter = d.duration(time.Microsecond, 20*time.Millisecond)
	}
	if d.oneIn(4) {
		l.Spike, l.SpikeDelay = 0.002, d.duration(time.Millisecond, 3*time.Second)
	}
	if d.oneIn(3) {
		l.Corrupt = pick(d, 0.001, 0.02, 0.1)
	}
	for range pick(d, 0, 0, 0, 1, 2) {
		from := tcp.Time(d.duration(time.Millisecond, 20*time.Second))
		l.Blackouts = append(l.Blackouts, Period{from, from.Add(d.duration(time.Millisecond, 30*time.Second))})
	}
}

func (d dice) conn(i int) connPlan {
	c := connPlan{
		ports:       [2]uint16{uint16(40_000 + i), uint16(80 + i)},
		acceptDelay: pick(d, 0, 0, d.duration(time.Millisecond, time.Second)),
		contentKeys: [2]content{content(d.Uint64()), content(d.Uint64())},
	}
	if i > 0 {
		c.openAt = d.duration(time.Microsecond, time.Second)
	}
	switch {
	case d.oneIn(8):
		c.opens = [2]bool{true, true}
	default:
		c.opens[d.IntN(2)] = true
	}
	rude := d.oneIn(4)
	for side := range c.users {
		c.users[side] = d.user(rude)
	}
	return c
}

// avoidDeadlock keeps two ends from waiting for each other's FIN for ever.
func (c *connPlan) avoidDeadlock(d dice) {
	waits := func(u *userPlan) bool { return u.ending == endAnswer || u.ending == endAbort && u.abortAfter > u.total }
	if !waits(&c.users[0]) || !waits(&c.users[1]) {
		return
	}
	u := &c.users[d.IntN(2)]
	if u.ending == endAnswer {
		u.ending = endHalfClose
	}
	u.abortAfter = min(u.abortAfter, u.total)
}

func (d dice) user(rude bool) userPlan {
	u := userPlan{
		options: d.options(),
		total:   pick(d, 0, d.scale(1, 1000), d.scale(1, 100_000), d.scale(10_000, 250_000)),
		piece:   d.scale(1, 60_000),
		limit:   d.scale(1, 1<<20),
		ending:  pick(d, endHalfClose, endAnswer),
	}
	if d.oneIn(3) {
		u.sendPause = d.duration(time.Microsecond, 20*time.Millisecond)
	}
	if d.oneIn(3) {
		u.readPause = d.duration(time.Microsecond, 20*time.Millisecond)
	}
	if d.oneIn(4) {
		u.hold = d.duration(time.Microsecond, 500*time.Millisecond)
	}
	if rude {
		u.ending = ending(d.IntN(int(numEndings)))
		u.abortAfter = d.scale(1, 50_000)
		u.deaf = d.oneIn(4)
		// A reset that the link loses leaves the other end with a connection that only a probe finds dead.
		u.options.KeepAlive, u.options.KeepAliveInterval, u.options.KeepAliveCount = 30*time.Second, 10*time.Second, 127
	}
	return u
}

func (d dice) options() tcp.Options {
	o := tcp.Options{
		NoDelay:       d.oneIn(2),
		QuickAck:      d.oneIn(4),
		NoPacing:      d.oneIn(4),
		Congestion:    pick(d, tcp.CongestionReno, tcp.CongestionCubic, tcp.CongestionBBR),
		NoTimestamps:  d.oneIn(3),
		NoSACK:        d.oneIn(3),
		NoWindowScale: d.oneIn(3),
		RecvBuffer:    d.buffer(),
		SendBuffer:    d.buffer(),
		MinRTO:        pick(d, 0, 0, 10*time.Millisecond, time.Second),
		InitialRTO:    pick(d, 0, 0, 200*time.Millisecond, 3*time.Second),
		// A scenario's link comes back in the end, so that nothing polite may give up.
		UserTimeout:    300 * 24 * time.Hour,
		ConnectTimeout: 300 * 24 * time.Hour,
		SynRetries:     127,
		SynAckRetries:  127,
	}
	if d.oneIn(3) {
		o.MaxSegment = pick(d, 64, 536, 64+d.IntN(1400))
	}
	if d.oneIn(8) {
		o.KeepAlive = d.duration(time.Second, time.Minute)
		o.KeepAliveInterval = time.Minute
		o.KeepAliveCount = 127
	}
	if d.oneIn(2) {
		near := uint32(0) - uint32(d.IntN(100_000))
		o.FixedISN = &near
	}
	o.FastOpen = d.oneIn(3)
	o.ECN = pick(d, tcp.ECNOff, tcp.ECNAccept, tcp.ECNOn, tcp.ECNAccurate, tcp.ECNAccurate)
	return o
}

// tuning draws how buffers tune themselves: from a small start more often than a scenario's few bytes would make it show
// else.
func (d dice) tuning() tcp.Autotuning {
	a := tcp.Autotuning{Initial: pick(d, 128<<10, d.scale(1000, 64<<10), d.scale(1, 3000)), Max: 8 << 20}
	if d.oneIn(3) {
		a.Max = d.scale(a.Initial, 8<<20)
	}
	for unit := 1; unit*65_535 < a.Max; unit *= 2 {
		a.Initial = max(a.Initial, 2*unit) // one unit of the window scale at least
	}
	return a
}

// buffer draws the size of a buffer: one that tunes itself or a wide one as often as not, and down to a window of one byte.
func (d dice) buffer() int {
	return pick(d, 0, 0, 1<<20, d.scale(10_000, 1<<20), d.scale(1000, 100_000), d.scale(1, 3000))
}

// bound keeps a scenario short where it would take very many packets: through a window of one byte, each byte takes
// several and a round trip at least.
func (p *plan) bound() {
	const packets = 700
	mtu := min(p.hosts[0].Stack.MTU, p.hosts[1].Stack.MTU)
	for i := range p.conns {
		c := &p.conns[i]
		for side := range c.users {
			u, peer := &c.users[side], &c.users[1-side]
			send, recv := u.options.SendBuffer, peer.options.RecvBuffer
			if send == 0 {
				send = p.hosts[side].Stack.SendBuffer.Initial
			}
			if recv == 0 {
				recv = p.hosts[1-side].Stack.RecvBuffer.Initial
			}
			unit := min(send, recv, mtu)
			for _, m := range []int{u.options.MaxSegment, peer.options.MaxSegment} {
				if m > 0 {
					unit = min(unit, m)
				}
			}
			if u.options.NoDelay {
				unit = min(unit, u.piece)
			}
			u.total = min(u.total, max(1, unit)*packets)
			if u.total/u.piece > packets {
				u.piece = u.total / packets
			}
			if u.total/peer.limit > packets {
				peer.limit = u.total / packets
			}
		}
	}
}
