package tcp

import "github.com/MUCZ/Starfish/core/wire"

// Drop is a reason why a packet, or a reply to one, was dropped.
type Drop uint8

// The reasons. Those of package wire stand before them in Stats.Each.
const (
	DropBadTransportChecksum Drop = iota
	DropNotOurs                   // destination address is not owned
	DropBadSource                 // source address can't be answered
	DropFragment                  // whose packets the shell did not put together
	DropUnknownProtocol
	DropSynQueueFull
	DropAcceptQueueFull
	DropTooManyConnections
	DropReplyQueueFull
	DropResetRateLimit
	DropPAWS          // RFC 7323 §5: old duplicate by timestamp
	DropOutsideWindow // RFC 9293 §3.10.7.4, first check
	DropNoAck         // a synchronized state needs ACK (RFC 9293 §3.10.7.4, fifth check)
	DropUnacceptableAck
	DropBlindReset     // RFC 5961 §3
	DropSynInWindow    // RFC 5961 §4
	DropReassemblyFull // more gaps in front of out-of-order data than Limits.OutOfOrder
	DropNoMemory
	DropICMPNoMatch // an ICMP error about nothing that we sent (RFC 5927 §4)
	DropEarly       // data ahead of the ACK that brings back a SYN cookie
	DropSynFin      // SYN and FIN in one segment
	NumDrops
)

var dropNames = [NumDrops]string{
	"BadTransportChecksum", "NotOurs", "BadSource", "Fragment", "UnknownProtocol", "SynQueueFull", "AcceptQueueFull",
	"TooManyConnections", "ReplyQueueFull", "ResetRateLimit", "PAWS", "OutsideWindow", "NoAck", "UnacceptableAck",
	"BlindReset", "SynInWindow", "ReassemblyFull", "NoMemory", "ICMPNoMatch", "Early", "SynFin",
}

func (d Drop) String() string {
	if d < NumDrops {
		return dropNames[d]
	}
	return "Unknown"
}

// Stats are a Stack's counters. Names are those of RFC 4022 and of Linux's SNMP and TcpExt tables where they exist.
// Segments are counted as on the wire: a super-segment counts for each of its segments.
type Stats struct {
	ActiveOpens, PassiveOpens, AttemptFails, EstabResets uint64
	CurrEstab                                            uint64 // a gauge: ESTABLISHED to LAST-ACK
	Orphans                                              uint64 // a gauge: closed by the user, and still on the wire
	InSegs, OutSegs, RetransSegs                         uint64
	InErrs, InCsumErrors, OutRsts                        uint64

	InOctets, OutOctets    uint64 // payload
	Timeouts               uint64 // TCPTimeouts
	FastRecoveries         uint64 // TCPSackRecovery and TCPRenoRecovery
	LossProbes             uint64 // tail loss probes
	Undone                 uint64 // reductions taken back as spurious
	DelayedAcks            uint64
	DupAcksSent            uint64
	ChallengeAcks          uint64
	OFOQueue               uint64 // segments that came out of order
	DSACKsSent             uint64 // TCPDSACKOldSent
	KeepAliveProbes        uint64
	WindowProbes           uint64
	PMTUUpdates            uint64
	MTUBlackHoles          uint64 // paths that seem to drop large packets without a word
	MTUProbes              uint64
	MTUProbeSuccesses      uint64 // TCPMTUPSuccess
	MTUProbeFailures       uint64 // TCPMTUPFail
	SynRetransmits         uint64
	InCEPkts               uint64 // segments marked Congestion Experienced (RFC 3168), of the name in Linux's IpExt
	ECNReductions          uint64 // reductions because a peer echoed congestion
	ListenOverflows        uint64
	FastOpenActive         uint64 // SYNs with a cookie
	FastOpenActiveFails    uint64 // SYNs whose data were not acknowledged
	FastOpenPassive        uint64 // connections by a cookie
	FastOpenPassiveFails   uint64 // cookies that were not good, and connections whose handshake never ended
	FastOpenOverflows      uint64 // good cookies beyond Limits.FastOpenQueue
	FastOpenCookieRequests uint64
	SynCookiesSent         uint64
	SynCookiesReceived     uint64
	SynCookiesFailed       uint64 // ACKs with none, or one too old
	TimeWaited             uint64
	TimeWaitReused         uint64 // records that gave way to a new connection
	TimeWaitOverflows      uint64 // records dropped early because of Limits.TimeWait
	SACKReneging           uint64
	AbortsOnTimeout        uint64 // user timeouts and exhausted keep-alives
	AbortsOnData           uint64 // data that came after the user had closed
	AbortsOnOrphans        uint64 // closes beyond Limits.Orphans
	AbortsOnLinger         uint64 // orphans that did not finish within Options.Linger
	AbortsOnClose          uint64 // closes with data unread
	SoftICMPErrors         uint64
	PacketsTooBig          uint64

	Problems [wire.NumProblems]uint64
	Drops    [NumDrops]uint64
}

func (s *Stats) drop(d Drop) { s.Drops[d]++ }

func (s *Stats) problem(p wire.Problem) {
	s.Problems[p]++
	s.InErrs++
}

// Each calls visit for every counter with its name.
func (s *Stats) Each(visit func(name string, value uint64)) {
	for _, c := range []struct {
		name  string
		value uint64
	}{
		{"TcpActiveOpens", s.ActiveOpens},
		{"TcpPassiveOpens", s.PassiveOpens},
		{"TcpAttemptFails", s.AttemptFails},
		{"TcpEstabResets", s.EstabResets},
		{"TcpCurrEstab", s.CurrEstab},
		{"TcpOrphans", s.Orphans},
		{"TcpInSegs", s.InSegs},
		{"TcpOutSegs", s.OutSegs},
		{"TcpRetransSegs", s.RetransSegs},
		{"TcpInErrs", s.InErrs},
		{"TcpInCsumErrors", s.InCsumErrors},
		{"TcpOutRsts", s.OutRsts},
		{"TcpExtInOctets", s.InOctets},
		{"TcpExtOutOctets", s.OutOctets},
		{"TcpExtTCPTimeouts", s.Timeouts},
		{"TcpExtTCPFastRecoveries", s.FastRecoveries},
		{"TcpExtTCPLossProbes", s.LossProbes},
		{"TcpExtTCPSpuriousRecoveries", s.Undone},
		{"TcpExtDelayedACKs", s.DelayedAcks},
		{"TcpExtTCPDupAcksSent", s.DupAcksSent},
		{"TcpExtTCPChallengeACK", s.ChallengeAcks},
		{"TcpExtTCPOFOQueue", s.OFOQueue},
		{"TcpExtTCPDSACKOldSent", s.DSACKsSent},
		{"TcpExtTCPKeepAlive", s.KeepAliveProbes},
		{"TcpExtTCPWinProbe", s.WindowProbes},
		{"TcpExtTCPPMTUUpdates", s.PMTUUpdates},
		{"TcpExtTCPMTUBlackHoles", s.MTUBlackHoles},
		{"TcpExtTCPMTUProbes", s.MTUProbes},
		{"TcpExtTCPMTUPSuccess", s.MTUProbeSuccesses},
		{"TcpExtTCPMTUPFail", s.MTUProbeFailures},
		{"TcpExtTCPSynRetrans", s.SynRetransmits},
		{"IpExtInCEPkts", s.InCEPkts},
		{"TcpExtTCPECNReductions", s.ECNReductions},
		{"TcpExtListenOverflows", s.ListenOverflows},
		{"TcpExtTCPFastOpenActive", s.FastOpenActive},
		{"TcpExtTCPFastOpenActiveFail", s.FastOpenActiveFails},
		{"TcpExtTCPFastOpenPassive", s.FastOpenPassive},
		{"TcpExtTCPFastOpenPassiveFail", s.FastOpenPassiveFails},
		{"TcpExtTCPFastOpenListenOverflow", s.FastOpenOverflows},
		{"TcpExtTCPFastOpenCookieReqd", s.FastOpenCookieRequests},
		{"TcpExtSyncookiesSent", s.SynCookiesSent},
		{"TcpExtSyncookiesRecv", s.SynCookiesReceived},
		{"TcpExtSyncookiesFailed", s.SynCookiesFailed},
		{"TcpExtTW", s.TimeWaited},
		{"TcpExtTWRecycled", s.TimeWaitReused},
		{"TcpExtTCPTimeWaitOverflow", s.TimeWaitOverflows},
		{"TcpExtTCPSACKReneging", s.SACKReneging},
		{"TcpExtTCPAbortOnTimeout", s.AbortsOnTimeout},
		{"TcpExtTCPAbortOnData", s.AbortsOnData},
		{"TcpExtTCPAbortOnClose", s.AbortsOnClose},
		{"TcpExtTCPAbortOnMemory", s.AbortsOnOrphans},
		{"TcpExtTCPAbortOnLinger", s.AbortsOnLinger},
		{"TcpExtSoftICMPErrors", s.SoftICMPErrors},
		{"TcpExtPacketsTooBig", s.PacketsTooBig},
	} {
		visit(c.name, c.value)
	}
	for p := wire.Problem(1); p < wire.NumProblems; p++ {
		visit("Drop:"+p.String(), s.Problems[p])
	}
	for d := Drop(0); d < NumDrops; d++ {
		visit("Drop:"+d.String(), s.Drops[d])
	}
}
