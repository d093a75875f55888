package packetdrill

import (
	"fmt"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// linuxSettings are Linux's, below net.ipv4.
var linuxSettings = map[string]applySetting{
	"tcp_sack":           switchSetting(func(s *settings) *bool { return &s.options.NoSACK }, "0"),
	"tcp_timestamps":     switchSetting(func(s *settings) *bool { return &s.options.NoTimestamps }, "0"),
	"tcp_window_scaling": switchSetting(func(s *settings) *bool { return &s.options.NoWindowScale }, "0"),
	"tcp_congestion_control": func(s *settings, v string) (err error) {
		s.options.Congestion, err = tcp.ParseCongestionControl(v)
		return err
	},
	"tcp_syn_retries":                    intSetting(func(s *settings) *int { return &s.options.SynRetries }),
	"tcp_keepalive_time":                 timeSetting(time.Second, func(s *settings) *time.Duration { return &s.options.KeepAlive }),
	"tcp_keepalive_intvl":                timeSetting(time.Second, func(s *settings) *time.Duration { return &s.options.KeepAliveInterval }),
	"tcp_keepalive_probes":               intSetting(func(s *settings) *int { return &s.options.KeepAliveCount }),
	"tcp_fin_timeout":                    timeSetting(time.Second, func(s *settings) *time.Duration { return &s.config.FinWait2 }),
	"tcp_rto_min_us":                     timeSetting(time.Microsecond, func(s *settings) *time.Duration { return &s.options.MinRTO }),
	"tcp_rmem":                           receiveMemory,
	"tcp_wmem":                           sendMemory,
	"tcp_max_syn_backlog":                intSetting(func(s *settings) *int { return &s.config.Limits.SynQueue }),
	"tcp_max_tw_buckets":                 intSetting(func(s *settings) *int { return &s.config.Limits.TimeWait }),
	"tcp_challenge_ack_limit":            intSetting(func(s *settings) *int { return &s.config.Limits.ChallengeAcks }),
	"ip_default_ttl":                     func(s *settings, v string) error { n, err := number(v, 1); s.options.TTL = uint8(n); return err },
	"tcp_abort_on_overflow":              asBuilt("0"),
	"tcp_dsack":                          asBuilt("1"),
	"tcp_early_retrans":                  asBuilt("3", "4"), // both mean tail loss probes
	"tcp_ecn":                            ecnSetting,
	"tcp_ecn_option":                     ecnOptionSetting,
	"tcp_ecn_option_beacon":              noEffect, // a script that sees it fails where it does
	"tcp_fack":                           asBuilt("0"),
	"tcp_frto":                           asBuilt("1", "2"),
	"tcp_mtu_probing":                    switchSetting(func(s *settings) *bool { return &s.options.NoMTUProbing }, "0"),
	"tcp_recovery":                       asBuilt("1"),
	"tcp_retrans_collapse":               asBuilt("0"),
	"tcp_retries2":                       asBuilt("15"),
	"tcp_rfc1337":                        switchSetting(func(s *settings) *bool { return &s.config.Choices.TimeWaitUnreset }, "1"),
	"tcp_rto_max_ms":                     timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.options.MaxRTO }),
	"tcp_shrink_window":                  asBuilt("0"),
	"tcp_stdurg":                         asBuilt("0"),
	"tcp_syncookies":                     synCookies,
	"tcp_synack_retries":                 intSetting(func(s *settings) *int { return &s.options.SynAckRetries }),
	"tcp_thin_linear_timeouts":           asBuilt("0"),
	"tcp_reordering":                     asBuilt("3"),
	"tcp_invalid_ratelimit":              invalidRateLimit,
	"tcp_slow_start_after_idle":          noEffect, // a script that sees it fails where it does
	"tcp_fastopen":                       fastOpenSetting,
	"tcp_fastopen_key":                   noEffect, // likewise
	"tcp_fastopen_blackhole_timeout_sec": noEffect,
	"tcp_ecn_fallback":                   noEffect,
	"tcp_tw_reuse":                       noEffect,
	"tcp_no_metrics_save":                noEffect,
	"tcp_moderate_rcvbuf":                noEffect,
	"tcp_low_latency":                    noEffect,
	"tcp_migrate_req":                    noEffect,
	"tcp_autocorking":                    noEffect, // segments are compared after they left
	"tcp_tso_win_divisor":                noEffect,
	"tcp_min_tso_segs":                   noEffect,
	"tcp_tso_rtt_log":                    noEffect,
	"tcp_limit_output_bytes":             noEffect,
	"tcp_pacing_ss_ratio":                noEffect,
	"tcp_pacing_ca_ratio":                noEffect,
	"tcp_notsent_lowat":                  noEffect,
	"tcp_mem":                            noEffect,
	"tcp_max_orphans":                    intSetting(func(s *settings) *int { return &s.config.Limits.Orphans }),
	"tcp_base_mss":                       noEffect,
	"tcp_probe_interval":                 noEffect,
	"tcp_min_rtt_wlen":                   noEffect,
	"tcp_max_reordering":                 noEffect,
	"tcp_plb_enabled":                    asBuilt("0"),
	"tcp_available_congestion_control":   noEffect,
	"tcp_allowed_congestion_control":     noEffect,
	"ip_forward":                         noEffect,
	"ip_local_port_range":                noEffect,
	"route.flush":                        noEffect,
	"icmp_ratelimit":                     noEffect,
}

func synCookies(s *settings, value string) error {
	modes := map[string]tcp.SynCookies{"0": tcp.SynCookiesOff, "1": tcp.SynCookiesAuto, "2": tcp.SynCookiesAlways}
	mode, ok := modes[value]
	if !ok {
		return fmt.Errorf("want 0, 1 or 2")
	}
	s.config.SynCookies = mode
	return nil
}

// ecnSetting takes Linux's number.
func ecnSetting(s *settings, value string) error {
	ecn, ok := map[string]tcp.ECN{
		"0": tcp.ECNOff, "1": tcp.ECNOn, "2": tcp.ECNAccept, "3": tcp.ECNAccurate, "4": tcp.ECNOnAccurate, "5": tcp.ECNAcceptAccurate,
	}[value]
	if !ok {
		return fmt.Errorf("want 0 to 5")
	}
	s.options.ECN = ecn
	return nil
}

// ecnOptionSetting takes Linux's number. 3 would go on sending the option where it does not get through.
func ecnOptionSetting(s *settings, value string) error {
	when, ok := map[string]tcp.AccECNOption{
		"0": tcp.AccECNOptionNever, "1": tcp.AccECNOptionNeeded, "2": tcp.AccECNOptionAlways,
	}[value]
	if !ok {
		return fmt.Errorf("want 0 to 2")
	}
	s.config.AccECNOption = when
	return nil
}

// receiveMemory takes "minimum default maximum". The maximum decides the window scale.
func receiveMemory(s *settings, value string) error {
	usual, most, err := threeSizes(value)
	if err == nil {
		s.receiveBuffer(usual, most)
	}
	return err
}

func sendMemory(s *settings, value string) error {
	usual, _, err := threeSizes(value)
	if err == nil {
		s.options.SendBuffer = usual
	}
	return err
}

// threeSizes takes the default and the maximum of "minimum default maximum".
func threeSizes(value string) (usual, most int, err error) {
	words := strings.Fields(value)
	if len(words) != 3 {
		return 0, 0, fmt.Errorf("want three numbers")
	}
	if err := setInt(&usual, words[1]); err != nil {
		return 0, 0, err
	}
	err = setInt(&most, words[2])
	return usual, most, err
}

// invalidRateLimit is the least time between challenge ACKs of one connection, in milliseconds.
func invalidRateLimit(s *settings, value string) error {
	n, err := number(value, 0)
	if err != nil {
		return err
	}
	if s.config.Limits.ChallengeAcks = 1_000_000; n > 0 {
		s.config.Limits.ChallengeAcks = int(max(1, 1000/n))
	}
	return nil
}
