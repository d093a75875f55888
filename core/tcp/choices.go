package tcp

import (
	"fmt"
	"time"
)

// Choices are what the RFCs leave to an implementation, or have narrowed since others were written. The zero value is what
// this engine does. The rest is for networks and conformance tests that take another system's answer for granted: Linux and
// FreeBSD have a setting for each.
type Choices struct {
	// ResetInWindow lets any RST in the window end a connection, as RFC 793 had it before RFC 5961 §3.2 asked for the exact
	// sequence number.
	ResetInWindow bool
	// SynInWindow lets a SYN in the window end a connection, with an RST in reply, as RFC 793 had it before RFC 5961 §4.2 asked
	// for a challenge.
	SynInWindow bool
	// TimeWaitUnreset lets no RST cut TIME-WAIT short (RFC 1337 §3).
	TimeWaitUnreset bool
	// TimeWaitUnopened lets no SYN of a new incarnation cut it short, as RFC 9293 §3.10.7.4, MAY-2, allows.
	TimeWaitUnopened bool
	// SynFin says what becomes of segments with SYN and FIN.
	SynFin SynFin
	// PatientOpen goes on opening when ICMP says that a destination can't be reached (RFC 5461 §4 has the reasons for both).
	PatientOpen bool
	// UnboundedSlowStart lets the first slow start, when it is not paced, grow by all that an ACK covers: RFC 9406 §4.3 has the
	// limit of 8 segments that it leaves out.
	UnboundedSlowStart bool
	// FastOpenUnproven takes data in SYNs without a cookie (RFC 7413 §4.1.2 has the attacks that it invites).
	FastOpenUnproven bool
	// FastOpenAskedOnce takes a listener's silence for a refusal: it is not asked for a cookie again for a while.
	FastOpenAskedOnce bool
	// RTOMargin is added to every retransmission timeout but that of a first SYN, as FreeBSD's rexmit_slop is.
	RTOMargin time.Duration
}

// SynFin says what becomes of a segment with both SYN and FIN, which only scanners send.
type SynFin uint8

// The ways. By RFC 9293 §3.10.7.2 a listener takes the SYN, and the FIN comes again; Linux and this engine drop both there.
const (
	SynFinUnlistened SynFin = iota // listeners drop it, connections take it for a SYN
	SynFinTaken                    // taken for a SYN everywhere
	SynFinDropped                  // dropped everywhere
	numSynFin
)

func (c *Choices) validate() error {
	if c.SynFin >= numSynFin {
		return fmt.Errorf("%w: unknown choice %d for SYN with FIN", ErrInvalid, c.SynFin)
	}
	return checkDuration("RTO margin", c.RTOMargin, time.Second)
}

// rto is the retransmission timeout of a connection, with what Choices adds to it.
func (s *Stack) rto(c *conn) time.Duration {
	if c.state == StateSynSent && c.backoff == 0 {
		return c.rto()
	}
	return c.rto() + s.cfg.Choices.RTOMargin
}

// refuses reports whether a segment is dropped before it is looked at.
func (c *Choices) refuses(seg *segment) bool {
	return c.SynFin == SynFinDropped && seg.isSynFin()
}
