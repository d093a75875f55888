package tcp

import (
	"github.com/MUCZ/Starfish/core/wire"
)

// handleICMP takes errors about our segments. Everything else of ICMP is the shell's.
func (s *Stack) handleICMP(now Time, p *Packet, ip *wire.IP) {
	b := p.Head.Bytes()
	var e wire.ICMPError
	if problem := wire.ParseICMPError(ip, b[ip.HeaderLen:min(ip.TotalLen, len(b))], &e); problem != wire.None {
		s.stats.problem(problem)
		return
	}
	t := tuple{local: e.Src, remote: e.Dst, localPort: e.SrcPort, remotePort: e.DstPort}
	c := s.conns.byTuple[t]
	if c == nil {
		if r := s.syns.get(t); r != nil {
			s.icmpForHandshake(r, &e)
			return
		}
		s.stats.drop(DropICMPNoMatch)
		return
	}
	// RFC 5927 §4.1: "check that the TCP sequence number contained in the payload of the ICMP error message is within
	// the range SND.UNA =< SEG.SEQ < SND.NXT".
	if !e.Seq.In(c.snd.una, c.snd.nxt) && !(c.fastOpening && e.Seq == c.snd.iss) {
		s.stats.drop(DropICMPNoMatch)
		return
	}
	if e.Kind == wire.PacketTooBig {
		s.packetTooBig(c, now, &e)
		return
	}
	s.unreachable(c, now, e.Kind)
}

// unreachable takes an ICMP error about a connection. RFC 9293 §3.9.2.2 tells hard errors, which "SHOULD abort", from soft
// ones, which "MUST NOT". In synchronized states all are soft: a forged packet must not end a connection (RFC 5927 §5.2).
// An open in progress is given up on any of them, as Linux and others do, so that users needn't wait for a timeout when
// the network says no (RFC 5461 §4.1).
func (s *Stack) unreachable(c *conn, now Time, kind wire.ErrorKind) {
	opening := c.state == StateSynSent || c.state == StateSynReceived || c.fastOpening
	// Time exceeded and parameter problem are no reason to give up (MUST-56).
	if opening && kind != wire.TimeExceeded && kind != wire.ParameterProblem && !s.cfg.Choices.PatientOpen {
		s.stats.AttemptFails++
		s.closeConn(c, now, icmpReason(kind))
		return
	}
	c.softer = kind
	s.stats.SoftICMPErrors++
}

// icmpReason is the reason why a connection ended, after what ICMP said about its path.
func icmpReason(kind wire.ErrorKind) error {
	switch kind {
	case wire.NetUnreachable:
		return ErrNetUnreachable
	case wire.PortUnreachable:
		return ErrRefused
	case wire.ProtocolUnreachable:
		return ErrNoProtocol
	default:
		return ErrHostUnreach
	}
}

// icmpForHandshake ends a passive handshake whose SYN-ACK can't be delivered.
func (s *Stack) icmpForHandshake(r *synRecord, e *wire.ICMPError) {
	if e.Seq != r.iss || e.Kind == wire.PacketTooBig || e.Kind == wire.TimeExceeded || e.Kind == wire.ParameterProblem {
		s.stats.drop(DropICMPNoMatch)
		return
	}
	s.syns.remove(r)
	s.stats.AttemptFails++
}

// packetTooBig is path MTU discovery (RFC 1191, RFC 8201): what is in flight is cut smaller and sent again.
func (s *Stack) packetTooBig(c *conn, now Time, e *wire.ICMPError) {
	s.stats.PacketsTooBig++
	floor, mtu := minPathMTU4, e.MTU
	if c.v6() {
		floor = minPathMTU6
	}
	if mtu == 0 {
		mtu = floor // a router from before RFC 1191: assume the least rather than search a table
	}
	// A smaller value than any path has is a forgery that would drive the overhead up (RFC 5927 §7.1): held to the floor.
	mtu = max(mtu, floor)
	if mtu >= int(c.pathMTU) {
		s.narrowSearch(c, mtu)
		return
	}
	s.searchMTU(c, mtu, now.Add(mtuRaiseInterval))
	s.setPathMTU(c, now, mtu)
}

const (
	minPathMTU4 = 552  // Linux's min_pmtu; RFC 791's 68 would make headers half of the traffic
	minPathMTU6 = 1280 // RFC 8200 §5
)

// setPathMTU makes segments smaller or larger from now on, and sends again what was too large. That is no sign of congestion.
func (s *Stack) setPathMTU(c *conn, now Time, mtu int) {
	s.stats.PMTUUpdates++
	c.pathMTU = uint16(mtu)
	before := c.mss
	c.updateMSS()
	if c.cc == nil || c.mss == before {
		return
	}
	c.cc.onMSS(c.mss)
	if c.mss > before {
		return
	}
	c.sent.loseAll(false)
	s.arm(c, timerRetransmit, now.Add(s.rto(c)))
	s.wantTransmit(c)
}

// SetMTU changes the link's MTU for connections to come and lowers that of those that are.
func (s *Stack) SetMTU(now Time, mtu int) error {
	s.begin(now)
	if mtu < minMTU || mtu > maxMTU {
		return ErrInvalid
	}
	s.cfg.MTU = mtu
	s.conns.each(func(c *conn) {
		if c.inFlows && int(c.pathMTU) > mtu {
			s.dropSearch(c)
			s.setPathMTU(c, now, mtu)
		} else if c.search != nil {
			c.search.high = min(c.search.high, uint16(mtu))
		}
	})
	return nil
}
