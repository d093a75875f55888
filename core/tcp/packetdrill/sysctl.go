package packetdrill

import (
	"errors"
	"path"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// applySetting gives a value to what a setting stands for.
type applySetting func(s *settings, value string) error

// assignments applies the name=value among the arguments of sysctl.
func (s *settings) assignments(words []string) error {
	for _, w := range words {
		if strings.HasPrefix(w, "-") || path.Base(w) == "sysctl" {
			continue
		}
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			continue // it only prints
		}
		if err := s.sysctl(name, value); err != nil {
			return err
		}
	}
	return nil
}

// sysctl applies a setting by the name that Linux, FreeBSD, or this package below "starfish.", gives it.
func (s *settings) sysctl(name, value string) error {
	name = strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, "/proc/sys/"), "proc/sys/"), "/", ".")
	value = strings.Join(strings.Fields(value), " ")
	var apply applySetting
	short, isLinux := strings.CutPrefix(name, "net.ipv4.")
	own, isOwn := strings.CutPrefix(name, "starfish.")
	switch {
	case isLinux:
		apply = linuxSettings[short]
	case isOwn:
		apply = ownSettings[own]
	default:
		apply = freeBSDSettings[name]
	}
	if apply == nil && elsewhere(name) {
		return nil
	}
	if apply == nil {
		return failf(Unsupported, 0, "setting %s", name)
	}
	if err := apply(s, value); err != nil {
		return failf(Unsupported, 0, "setting %s=%s: %v", name, value, err)
	}
	return nil
}

// elsewhere says whether a setting is about what is not TCP, or about parts of it that the engine does not have.
func elsewhere(name string) bool {
	for _, prefix := range []string{
		"net.core.", "net.ipv4.conf.", "net.ipv4.neigh.", "net.ipv4.route.", "net.ipv4.ip", "net.ipv4.icmp", "net.ipv6.", "net.inet.ip.",
		"net.inet.icmp.", "net.inet6.", "net.link.", "net.route.", "kern.", "vm.", "security.", "debug.", "hw.", "net.inet.tcp.cc.",
		"net.inet.tcp.hostcache.", "net.inet.tcp.syncache.", "net.inet.tcp.rack.", "net.inet.tcp.bbr.", "net.inet.tcp.bb.",
		"net.inet.tcp.fastopen.", "net.inet.tcp.lro.", "net.inet.tcp.hpts.",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// noEffect is a setting of something that the engine does not have, or that no script can see.
func noEffect(*settings, string) error { return nil }

// asBuilt takes the values that ask for what the engine does anyway.
func asBuilt(values ...string) applySetting {
	return func(_ *settings, value string) error {
		for _, v := range values {
			if v == value {
				return nil
			}
		}
		return errNotBuilt
	}
}

var errNotBuilt = errorText("the engine does not do that")

type errorText string

func (e errorText) Error() string { return string(e) }

func intSetting(field func(*settings) *int) applySetting {
	return func(s *settings, v string) error { return setInt(field(s), v) }
}

func timeSetting(unit time.Duration, field func(*settings) *time.Duration) applySetting {
	return func(s *settings, v string) error { return setDuration(field(s), v, unit) }
}

func switchSetting(field func(*settings) *bool, on string) applySetting {
	return func(s *settings, v string) error { *field(s) = v == on; return nil }
}

// ownSettings are what scripts pin that Linux has no name for.
var ownSettings = map[string]applySetting{
	"initial_window":    intSetting(func(s *settings) *int { return &s.config.InitialWindow }),
	"delayed_ack_us":    timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.config.DelayedAck }),
	"time_wait_us":      timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.config.TimeWait }),
	"fin_wait_2_us":     timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.config.FinWait2 }),
	"challenge_acks":    intSetting(func(s *settings) *int { return &s.config.Limits.ChallengeAcks }),
	"resets_per_second": intSetting(func(s *settings) *int { return &s.config.Limits.ResetsPerSec }),
	"syn_queue":         intSetting(func(s *settings) *int { return &s.config.Limits.SynQueue }),
	"out_of_order":      intSetting(func(s *settings) *int { return &s.config.Limits.OutOfOrder }),
	"quick_acks": func(s *settings, v string) error {
		if s.config.QuickAcks = -1; v == "0" {
			return nil
		}
		return setInt(&s.config.QuickAcks, v)
	},
	"initial_rto_us":     timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.options.InitialRTO }),
	"min_rto_us":         timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.options.MinRTO }),
	"connect_timeout_us": timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.options.ConnectTimeout }),
	"user_timeout_us":    timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.options.UserTimeout }),
	"syn_retries":        intSetting(func(s *settings) *int { return &s.options.SynRetries }),
	"linger_us":          timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.options.Linger }),
	"synack_retries":     intSetting(func(s *settings) *int { return &s.options.SynAckRetries }),
	"quick_ack":          switchSetting(func(s *settings) *bool { return &s.options.QuickAck }, "1"),
	"pacing":             switchSetting(func(s *settings) *bool { return &s.options.NoPacing }, "0"),
	"no_delay":           switchSetting(func(s *settings) *bool { return &s.options.NoDelay }, "1"),
	"mss":                intSetting(func(s *settings) *int { return &s.options.MaxSegment }),
	"mss_with_options":   switchSetting(func(s *settings) *bool { return &s.mssWithOptions }, "1"),
	"recv_buffer":        intSetting(func(s *settings) *int { return &s.options.RecvBuffer }),
	"send_buffer":        intSetting(func(s *settings) *int { return &s.options.SendBuffer }),
	"tune_recv":          tuneSetting(func(s *settings) (*tcp.Autotuning, *int) { return &s.config.RecvBuffer, &s.options.RecvBuffer }),
	"tune_send":          tuneSetting(func(s *settings) (*tcp.Autotuning, *int) { return &s.config.SendBuffer, &s.options.SendBuffer }),
	"receive_memory": func(s *settings, v string) (err error) {
		s.config.Limits.ReceiveMemory, err = number(v, 1)
		return err
	},
	"time_wait_unopened":   switchSetting(func(s *settings) *bool { return &s.config.Choices.TimeWaitUnopened }, "1"),
	"time_wait_unreset":    switchSetting(func(s *settings) *bool { return &s.config.Choices.TimeWaitUnreset }, "1"),
	"asked_once":           switchSetting(func(s *settings) *bool { return &s.config.Choices.FastOpenAskedOnce }, "1"),
	"unbounded_slow_start": switchSetting(func(s *settings) *bool { return &s.config.Choices.UnboundedSlowStart }, "1"),
	"max_rto_us":           timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.options.MaxRTO }),
	"any_option_order":     switchSetting(func(s *settings) *bool { return &s.anyOrder }, "1"),
}

// tuneSetting takes the first size of a buffer and the largest, and leaves it to tune itself.
func tuneSetting(field func(*settings) (tuning *tcp.Autotuning, fixed *int)) applySetting {
	return func(s *settings, value string) error {
		first, most, ok := strings.Cut(value, " ")
		if !ok {
			return errors.New("want two numbers")
		}
		a, fixed := field(s)
		*fixed = 0
		if err := setInt(&a.Initial, first); err != nil {
			return err
		}
		return setInt(&a.Max, most)
	}
}
