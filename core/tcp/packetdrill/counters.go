package packetdrill

import (
	"path"
	"regexp"
	"strings"

	"github.com/MUCZ/Starfish/core/tcp"
)

// linuxCounters are Linux's counters by which scripts ask what has become of a packet, as the engine counts it.
var linuxCounters = map[string]func(*tcp.Stats) uint64{
	"TcpExtOutOfWindowIcmps":      func(s *tcp.Stats) uint64 { return s.Drops[tcp.DropICMPNoMatch] },
	"TcpExtBeyondWindow":          func(s *tcp.Stats) uint64 { return s.Drops[tcp.DropOutsideWindow] },
	"TcpExtTCPOFOQueue":           func(s *tcp.Stats) uint64 { return s.OFOQueue },
	"TcpExtTCPChallengeACK":       func(s *tcp.Stats) uint64 { return s.ChallengeAcks },
	"TcpExtTCPTimeouts":           func(s *tcp.Stats) uint64 { return s.Timeouts },
	"TcpExtTCPLossProbes":         func(s *tcp.Stats) uint64 { return s.LossProbes },
	"TcpExtListenOverflows":       func(s *tcp.Stats) uint64 { return s.ListenOverflows },
	"TcpExtPAWSEstab":             func(s *tcp.Stats) uint64 { return s.Drops[tcp.DropPAWS] },
	"TcpExtTCPFastOpenActive":     func(s *tcp.Stats) uint64 { return s.FastOpenActive },
	"TcpExtTCPFastOpenActiveFail": func(s *tcp.Stats) uint64 { return s.FastOpenActiveFails },
	"TcpExtTCPFastOpenPassive":    func(s *tcp.Stats) uint64 { return s.FastOpenPassive },
	"TcpExtTCPFastOpenCookieReqd": func(s *tcp.Stats) uint64 { return s.FastOpenCookieRequests },
	"TcpActiveOpens":              func(s *tcp.Stats) uint64 { return s.ActiveOpens },
	"TcpPassiveOpens":             func(s *tcp.Stats) uint64 { return s.PassiveOpens },
	"TcpRetransSegs":              func(s *tcp.Stats) uint64 { return s.RetransSegs },
	"TcpOutRsts":                  func(s *tcp.Stats) uint64 { return s.OutRsts },
}

// resetCounters lets counters count from now on.
func (r *runner) resetCounters() error {
	if r.stack != nil {
		r.counted = *r.stack.Stats()
	}
	return nil
}

// spacedNumber is a count as scripts look for it: " 3 ".
var spacedNumber = regexp.MustCompile(`^\s*\d+\s*$`)

// counterQuestion answers nstat | grep NAME, and | grep " 3 " behind it.
func (r *runner) counterQuestion(p *pipeline) error {
	var now tcp.Stats
	if r.stack != nil {
		now = *r.stack.Stats()
	}
	name, count := "", uint64(0)
	for _, stage := range p.stages[1:] {
		pattern := stage[len(stage)-1]
		if path.Base(stage[0]) != "grep" {
			return failf(Unsupported, 0, "command %s behind nstat", strings.Join(stage, " "))
		}
		if counter := linuxCounters[pattern]; counter != nil {
			if name, count = pattern, counter(&now)-counter(&r.counted); count == 0 {
				return failf(WrongState, 0, "%s is 0", name)
			}
			continue
		}
		if name == "" || !spacedNumber.MatchString(pattern) {
			return failf(Unsupported, 0, "counter %s", pattern)
		}
		var want int
		if err := setInt(&want, strings.TrimSpace(pattern)); err != nil || uint64(want) != count {
			return failf(WrongState, 0, "%s is %d, want %s", name, count, strings.TrimSpace(pattern))
		}
	}
	return r.resetCounters()
}
