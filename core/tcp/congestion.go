package tcp

import (
	"fmt"
	"time"
)

// CongestionControl selects the algorithm that decides how much may be in flight. The zero value is unset.
type CongestionControl uint8

// The congestion controls.
const (
	CongestionReno  CongestionControl = 1 + iota // NewReno, RFC 5681 and RFC 6582
	CongestionCubic                              // CUBIC, RFC 9438
	CongestionBBR                                // BBRv3, draft-ietf-ccwg-bbr
	numCongestionControls
)

func (c CongestionControl) String() string {
	switch c {
	case CongestionReno:
		return "reno"
	case CongestionCubic:
		return "cubic"
	case CongestionBBR:
		return "bbr"
	default:
		return fmt.Sprintf("congestion control %d", uint8(c))
	}
}

// ParseCongestionControl returns the congestion control that String calls name.
func ParseCongestionControl(name string) (CongestionControl, error) {
	for c := CongestionReno; c < numCongestionControls; c++ {
		if c.String() == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%w: unknown congestion control %q: want %v, %v or %v", ErrInvalid, name, CongestionReno, CongestionCubic, CongestionBBR)
}

// congestionControl decides how much may be in flight. Sizes are bytes. A value belongs to one connection.
type congestionControl interface {
	name() CongestionControl

	// init starts a connection, whose first window is initialWindow (RFC 6928).
	init(now Time, mss, initialWindow int)
	// onAck says that new data was delivered outside recovery; or in it as well, to one that keepsWindow.
	onAck(a *ackSample)
	// onLost says that something was deemed lost, before onLoss or onTimeout does if they follow.
	onLost(l lostSample)
	// onLoss enters recovery; flight is FlightSize of RFC 5681: all that is sent and not cumulatively acknowledged.
	onLoss(now Time, flight int)
	// onCongestion says that marked packets were echoed (RFC 3168 §6.1.2), of the flight before: at most once a round trip,
	// and not during recovery, which onLoss has begun.
	onCongestion(now Time, flight int)
	// onRecoveryExit says that all that was in flight when recovery began is acknowledged.
	onRecoveryExit(now Time)
	// onTimeout says that the retransmission timer expired, first that it did for the first time on this data.
	onTimeout(now Time, flight int, first bool)
	// onIdle is called before data is sent while nothing is in flight, and nothing was sent for idle.
	onIdle(now Time, idle, rto time.Duration)
	// onMSS says that segments carry mss bytes from now on.
	onMSS(mss int)

	// keepsWindow says that cwnd rules in recovery too, in place of PRR.
	keepsWindow() bool
	cwnd() int
	ssthresh() int
	// pacingRate returns bytes per second, and 0 before there is an RTT: not paced.
	pacingRate(srtt time.Duration) uint64

	// save and restore undo what a spurious loss or timeout did: save before onLoss or onTimeout.
	save() ccState
	restore(s ccState)
}

// ackSample is what an ACK says to congestion control.
type ackSample struct {
	now           Time
	acked         int           // bytes that open the window: newly acknowledged; 0 for an ACK that does not advance SND.UNA
	inFlight      int           // before the ACK
	pipe          int           // after it
	newlyLost     int           // bytes that it showed to be lost
	rtt           time.Duration // of this ACK; 0 when it gives none
	minRTT, srtt  time.Duration
	windowLimited bool   // the congestion window was what held the sender back
	paced         bool   // what is sent is spread over the round trip
	burst         bool   // what is not paced may be sent in bursts all the same (Choices.UnboundedSlowStart)
	delivered     uint64 // all that was ever delivered, this ACK's share included
	inRecovery    bool
	rate          rateSample

	// limited is the answer: what is in flight is kept low on purpose, and rates measured of it are lower bounds.
	limited bool
}

// lostSample is a part of the sequence space that is deemed lost.
type lostSample struct {
	now        Time
	delivered  uint64 // all that was ever delivered
	size       int
	txInFlight int // in flight when it was sent, with it
	lost       int // deemed lost since, with it
	appLimited bool
}

// ccState is a congestion control's memory of one moment.
type ccState struct {
	cwnd, ssthresh int
	cubic          cubicCurve // of CUBIC only
}

// newCongestionControl returns the congestion control c, which the options have validated. What it draws at random follows
// from seed.
func newCongestionControl(c CongestionControl, seed uint64) congestionControl {
	switch c {
	case CongestionReno:
		return new(reno)
	case CongestionCubic:
		return new(cubic)
	case CongestionBBR:
		return &bbr{seed: seed}
	default:
		panic(fmt.Sprintf("tcp: %v is not valid", c))
	}
}

// initialWindow is RFC 6928 §2: min (10*MSS, max (2*MSS, 14600)), with another number of segments for 10 if so configured.
func initialWindow(mss, segments int) int {
	return min(segments*mss, max(2*mss, segments*1460))
}

// maxCwnd bounds the congestion window. No peer can advertise more than 2^30 bytes (RFC 7323 §2.3).
const maxCwnd = 1 << 30

// Percentages of cwnd per SRTT at which to pace; Linux's tcp_pacing_ss_ratio and tcp_pacing_ca_ratio. A window that
// doubles each round trip must be sent at twice its own rate; afterwards a fifth more keeps pacing from being the limit.
const (
	pacingSlowStart = 200
	pacingAvoidance = 120
)

// ccWindow is what all window-based congestion controls have in common. They embed it.
type ccWindow struct {
	window    int      // cwnd
	threshold int      // ssthresh
	mss       int32    // SMSS
	initial   int32    // IW, which is also the restart window RW is taken from
	early     *hystart // of the first slow start, once its window has been in use
	valid     *cwndValidation
}

func (w *ccWindow) start(mss, initialWindow int) {
	// RFC 5681 §3.1: "The initial value of ssthresh SHOULD be set arbitrarily high".
	*w = ccWindow{window: min(initialWindow, maxCwnd), threshold: maxCwnd, mss: int32(mss), initial: int32(initialWindow)}
}

func (w *ccWindow) keepsWindow() bool { return false }
func (w *ccWindow) cwnd() int         { return w.window }
func (w *ccWindow) ssthresh() int     { return w.threshold }

// grow adds n bytes to the window.
func (w *ccWindow) grow(n int) { w.window = min(w.window+n, maxCwnd) }

// slowStart grows the window by what was acknowledged while it is below ssthresh, and returns what is left for
// congestion avoidance. RFC 5681 §3.1 grows by min (N, SMSS) for each ACK, RFC 3465 §2.2 by up to 2*SMSS; here, as in Linux,
// all of N counts: one ACK covers a super-segment of forty segments, and a limit for each ACK would make slow start
// linear. The bursts that the limit was for are spread by pacing.
func (w *ccWindow) slowStart(a *ackSample) int {
	if w.window >= w.threshold {
		w.early = nil
		return a.acked
	}
	growth, done := a.acked, false
	if w.threshold == maxCwnd {
		// RFC 9406 §4.3: "HyStart++ … SHOULD be used only for the initial slow start".
		if w.early == nil {
			w.early = &hystart{roundEnd: a.delivered}
		}
		growth, done = w.early.onAck(a, int(w.mss))
	}
	used := min(growth, w.threshold-w.window)
	w.grow(used)
	if done {
		w.threshold, w.early = w.window, nil
	}
	if used < growth {
		return growth - used
	}
	return 0
}

// reduced returns max (share*FlightSize, 2*SMSS), the form of RFC 5681 §3.1 equation (4). What exceeds cwnd is not
// counted: it is what limited transmit sent, which the equation excludes, or stale since a timeout.
func (w *ccWindow) reduced(flight int, share float64) int {
	return max(int(share*float64(min(flight, w.window))), 2*int(w.mss))
}

// restart is RFC 5681 §4.1: "cwnd to no more than RW", with RW = min(IW,cwnd). Ssthresh keeps three quarters of what the
// window was, so that slow start finds its way back (RFC 2861 §3.1; Linux does the same).
func (w *ccWindow) restart() {
	w.threshold = max(w.threshold, w.window-w.window/4)
	w.unvalidate()
	w.early = nil                                        // its rounds belong to what was sent before
	w.window = min(w.window, int(max(w.initial, w.mss))) // a path whose MTU grew may need more than its IW
}

// onMSS keeps the windows: they count bytes, and the path is still the same. They hold a segment at least.
func (w *ccWindow) onMSS(mss int) {
	w.mss = int32(mss)
	w.window = max(w.window, mss)
	w.threshold = max(w.threshold, 2*mss)
}

// pacingRate takes the rate of slow start up to half of ssthresh, as Linux does, so that the last doubling overshoots less.
func (w *ccWindow) pacingRate(srtt time.Duration) uint64 {
	if srtt <= 0 {
		return 0
	}
	percent := uint64(pacingAvoidance)
	if w.window < w.threshold/2 {
		percent = pacingSlowStart
	}
	// At most 2^30 * 2 * 10^9 < 2^61.
	return uint64(w.window) * percent / 100 * uint64(time.Second) / uint64(srtt)
}

// undo gives back what a spurious reduction took, and nothing of what was gained since.
func (w *ccWindow) undo(s *ccState) {
	w.unvalidate()
	w.window = max(w.window, s.cwnd)
	w.threshold = max(w.threshold, s.ssthresh)
}
