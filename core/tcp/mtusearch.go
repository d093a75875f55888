package tcp

import (
	"time"

	"github.com/MUCZ/Starfish/core/seqnum"
)

// mtuSearch is packetization layer path MTU discovery (RFC 4821, RFC 8899): segments of the connection's own data probe
// for the largest packet that arrives, whatever ICMP says or routers keep silent about. A connection has one while its
// path MTU is below the link's. Sizes are of whole packets.
type mtuSearch struct {
	low, high  uint16       // search_low and search_high (RFC 4821 §7.1): it is between them, both included
	probe      uint16       // size of the packet that is out; 0 when none is
	failed     uint8        // probes of one size that were lost (RFC 8899 §5.1.2, PROBE_COUNT)
	whole      bool         // high itself was tried
	start, end seqnum.Value // what the probe carries
	resume     Time         // nothing is probed before
}

const (
	// mtuBase is where a black hole is left for: BASE_PLPMTU of RFC 8899 §5.1.2.
	mtuBase = 1200
	// mtuPrecision ends a search: what is gained beyond is less than a probe costs. Linux's tcp_probe_threshold.
	mtuPrecision = 8
	// mtuProbes is how often one size is tried (RFC 8899 §5.1.2, MAX_PROBES): a probe may be lost by congestion.
	mtuProbes = 3
	// mtuRaiseInterval is when a larger size is looked for again: PMTU_RAISE_TIMER of RFC 8899 §5.1.1; RFC 1191 §6.3 says the same.
	mtuRaiseInterval = 10 * time.Minute
	// blackHoleTimeouts is how many consecutive timeouts make a black hole likely (RFC 4821 §7.7), for each step down.
	// Linux's tcp_retries1.
	blackHoleTimeouts = 3
)

// lowerMTUs are what a path is tried with in turn when nothing gets through.
func lowerMTUs(v6 bool) []int {
	if v6 {
		return []int{minPathMTU6}
	}
	return []int{mtuBase, minPathMTU4, minMTU}
}

// suspectBlackHole makes packets smaller when one that is too large to be sure of was lost time and again, and nothing
// was heard: a router may drop it without a word (RFC 2923 §2.1).
func (s *Stack) suspectBlackHole(c *conn, now Time) {
	if c.opt.NoMTUProbing || c.sent.len() == 0 {
		return
	}
	size := min(int(c.sent.at(0).size()), c.mss) + c.headersLen()
	for i, mtu := range lowerMTUs(c.v6()) {
		if mtu < size && int(c.backoff) >= blackHoleTimeouts*(i+1) {
			s.stats.MTUBlackHoles++
			s.searchMTU(c, mtu, now)
			s.setPathMTU(c, now, mtu)
			return
		}
	}
}

// headersLen is what a segment's packet holds besides payload.
func (c *conn) headersLen() int {
	n := fixedHeaders(c.v6())
	if c.timestampsOn {
		n += timestampsLen
	}
	return n
}

// searchMTU starts a search, from a size that passes up to what the link and the peer take.
func (s *Stack) searchMTU(c *conn, low int, resume Time) {
	if c.opt.NoMTUProbing {
		return
	}
	if c.search == nil {
		c.search = s.searches.get()
	}
	high := min(s.cfg.MTU, int(c.peerMSS)+fixedHeaders(c.v6()))
	if c.opt.MaxSegment > 0 {
		high = min(high, c.opt.MaxSegment+fixedHeaders(c.v6()))
	}
	*c.search = mtuSearch{low: uint16(low), high: uint16(max(low, high)), resume: resume}
}

func (s *Stack) dropSearch(c *conn) {
	if c.search != nil {
		s.searches.put(c.search)
		c.search = nil
	}
}

// next returns the size to probe for, 0 when the search is over. The upper end is tried first: where a search began
// without need, one probe ends it.
func (m *mtuSearch) next() int {
	switch {
	case m.high-m.low < mtuPrecision:
		return 0
	case !m.whole:
		return int(m.high)
	default:
		return int(m.low+m.high+1) / 2
	}
}

// buildMTUProbe sends the next data as one packet of the size that is to be tried.
func (s *Stack) buildMTUProbe(c *conn, now Time, t *Transmit) bool {
	m := c.search
	if m == nil || m.probe != 0 || now < m.resume || c.recovery.phase != phaseOpen || c.opt.NoMTUProbing {
		return false
	}
	size := m.next()
	if size == 0 {
		s.endSearch(c, now)
		return false
	}
	// RFC 4821 §7.4: enough must follow that a loss is found without a timeout.
	n := size - c.headersLen() - c.optionLen()
	if following := dupThresh * c.mss; c.unsent() < n+following || int(c.usable()) < n+following || c.window()-c.pipe() < n ||
		c.sent.len() >= s.cfg.Limits.SentSegments {
		return false
	}
	m.probe, m.start = uint16(size), c.snd.nxt
	s.stats.MTUProbes++
	s.transmitNew(c, now, t, n, n)
	if t.PayloadLen != n { // the data lay in too many pieces
		m.probe = 0
	}
	m.end = c.snd.nxt
	return true
}

// endSearch rests until sizes above are worth another try.
func (s *Stack) endSearch(c *conn, now Time) {
	if int(c.pathMTU) >= s.cfg.MTU {
		s.dropSearch(c)
		return
	}
	s.searchMTU(c, int(c.pathMTU), now.Add(mtuRaiseInterval))
}

// probeArrived takes what an ACK says about the probe that is out.
func (s *Stack) probeArrived(c *conn, now Time) {
	m := c.search
	if m == nil || m.probe == 0 || c.snd.una.Less(m.end) {
		return
	}
	s.stats.MTUProbeSuccesses++
	size := m.probe
	m.low, m.probe, m.failed, m.whole = size, 0, 0, true
	s.setPathMTU(c, now, int(size))
	if m.next() == 0 {
		s.endSearch(c, now)
	}
}

// probeLost takes the loss of the probe, and reports whether nothing else is lost: then the path is not congested, and
// "the TCP sender SHOULD NOT reduce its congestion window" (RFC 4821 §7.5).
func (s *Stack) probeLost(c *conn) (alone bool) {
	m := c.search
	if m == nil || m.probe == 0 || c.sent.len() == 0 {
		return false
	}
	var lost seqnum.Size
	for i := c.sent.find(m.start); i < c.sent.len() && c.sent.at(i).start.Less(m.end); i++ {
		if r := c.sent.at(i); r.has(recLost) {
			lost += r.size()
		}
	}
	if lost == 0 {
		return false
	}
	s.stats.MTUProbeFailures++
	m.probe = 0
	if m.failed++; m.failed >= mtuProbes {
		m.exclude(m.next()) // nothing has changed what it says since the probe was sent
	}
	return c.sent.lost == lost
}

// exclude says that packets of size bytes do not pass.
func (m *mtuSearch) exclude(size int) {
	m.high = uint16(max(size-1, int(m.low)))
	m.failed, m.whole = 0, true
}

// narrowSearch takes a router's word for what passes, while probes look beyond the path MTU.
func (s *Stack) narrowSearch(c *conn, mtu int) {
	m := c.search
	if m == nil || mtu >= int(m.high) {
		return
	}
	m.high, m.failed, m.whole = uint16(mtu), 0, false
	if int(m.probe) <= mtu {
		return
	}
	m.probe = 0
	c.sent.cutAt(&s.records, m.start)
	c.sent.cutAt(&s.records, m.end)
	for i := c.sent.find(m.start); i < c.sent.len() && c.sent.at(i).start.Less(m.end); i++ {
		c.sent.lose(c.sent.at(i))
	}
	s.wantTransmit(c)
}
