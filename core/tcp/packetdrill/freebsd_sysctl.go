package packetdrill

import (
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// freeBSDSettings are FreeBSD's, by their whole names.
var freeBSDSettings = map[string]applySetting{
	"net.inet.tcp.rfc1323": func(s *settings, v string) error { // 2: only window scaling; 3: only timestamps
		s.options.NoWindowScale = v == "0" || v == "3"
		s.options.NoTimestamps = v == "0" || v == "2"
		return nil
	},
	"net.inet.tcp.sack.enable": switchSetting(func(s *settings) *bool { return &s.options.NoSACK }, "0"),
	"net.inet.tcp.ecn.enable":  ecnSetting,
	"net.inet.tcp.recvspace": func(s *settings, v string) error {
		var n int
		err := setInt(&n, v)
		s.receiveBuffer(n, s.config.RecvBuffer.Max)
		return err
	},
	"net.inet.tcp.sendspace": intSetting(func(s *settings) *int { return &s.options.SendBuffer }),
	"net.inet.tcp.cc.algorithm": func(s *settings, v string) (err error) {
		if v == "newreno" {
			v = "reno"
		}
		s.options.Congestion, err = tcp.ParseCongestionControl(v)
		return err
	},
	"net.inet.tcp.initcwnd_segments": intSetting(func(s *settings) *int { return &s.config.InitialWindow }),
	"net.inet.tcp.rexmit_initial":    timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.options.InitialRTO }),
	"net.inet.tcp.rexmit_min":        timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.options.MinRTO }),
	"net.inet.tcp.keepinit":          timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.options.ConnectTimeout }),
	"net.inet.tcp.keepidle":          timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.options.KeepAlive }),
	"net.inet.tcp.keepintvl":         timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.options.KeepAliveInterval }),
	"net.inet.tcp.keepcnt":           intSetting(func(s *settings) *int { return &s.options.KeepAliveCount }),
	"net.inet.tcp.finwait2_timeout":  timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.config.FinWait2 }),
	"net.inet.tcp.delacktime":        timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.config.DelayedAck }),
	"net.inet.tcp.delayed_ack":       switchSetting(func(s *settings) *bool { return &s.options.QuickAck }, "0"),
	"net.inet.tcp.msl": func(s *settings, v string) error {
		err := setDuration(&s.config.TimeWait, v, time.Millisecond)
		s.config.TimeWait *= 2
		return err
	},
	"net.inet.ip.ttl":        func(s *settings, v string) error { n, err := number(v, 1); s.options.TTL = uint8(n); return err },
	"net.inet6.ip6.hlim":     func(s *settings, v string) error { n, err := number(v, 1); s.options.TTL = uint8(n); return err },
	"net.inet.tcp.mssdflt":   noEffect,
	"net.inet.tcp.v6mssdflt": noEffect,
	"kern.ipc.maxsockbuf": func(s *settings, v string) error {
		n, err := number(v, 1)
		s.receiveBuffer(s.recvSpace, int(min(n, tcp.MaxBuffer)))
		return err
	},
	"kern.ipc.soacceptqueue":           noEffect,
	"kern.ipc.somaxconn":               noEffect,
	"net.inet.tcp.rexmit_slop":         timeSetting(time.Millisecond, func(s *settings) *time.Duration { return &s.config.Choices.RTOMargin }),
	"net.inet.tcp.rexmit_drop_options": asBuilt("0"),
	"net.inet.tcp.ecn.maxretries":      asBuilt("1"),
	"net.inet.tcp.ecn.plusplus":        asBuilt("0"),
	"net.inet.tcp.ecn.generalized":     asBuilt("0"),
	"net.inet.tcp.icmp_may_rst":        switchSetting(func(s *settings) *bool { return &s.config.Choices.PatientOpen }, "0"),
	"net.inet.tcp.blackhole":           asBuilt("0"),
	"net.inet.tcp.drop_synfin": func(s *settings, v string) error {
		if s.config.Choices.SynFin = tcp.SynFinTaken; v != "0" {
			s.config.Choices.SynFin = tcp.SynFinDropped
		}
		return nil
	},
	"net.inet.tcp.always_keepalive":                      noEffect, // sockets ask for it by SO_KEEPALIVE
	"net.inet.tcp.path_mtu_discovery":                    asBuilt("1"),
	"net.inet.tcp.pmtud_blackhole_detection":             switchSetting(func(s *settings) *bool { return &s.options.NoMTUProbing }, "0"),
	"net.inet.tcp.tolerate_missing_ts":                   noEffect, // a script that sees it fails where it does
	"net.inet.tcp.syncookies":                            synCookies,
	"net.inet.tcp.syncookies_only":                       asBuilt("0"),
	"net.inet.tcp.rfc3042":                               asBuilt("1"),
	"net.inet.tcp.rfc3390":                               asBuilt("1"),
	"net.inet.tcp.rfc3465":                               noEffect,
	"net.inet.tcp.rfc6675_pipe":                          asBuilt("1"),
	"net.inet.tcp.sack.revised":                          asBuilt("1"),
	"net.inet.tcp.sack.tso":                              noEffect,
	"net.inet.tcp.sack.lrd":                              asBuilt("1"),
	"net.inet.tcp.do_prr":                                asBuilt("1"),
	"net.inet.tcp.do_prr_conservative":                   noEffect,
	"net.inet.tcp.newcwv":                                noEffect,
	"net.inet.tcp.do_lrd":                                asBuilt("1"),
	"net.inet.tcp.per_cpu_timers":                        noEffect,
	"net.inet.tcp.log_debug":                             noEffect,
	"net.inet.tcp.log_in_vain":                           noEffect,
	"net.inet.tcp.sendbuf_auto":                          noEffect,
	"net.inet.tcp.sendbuf_inc":                           noEffect,
	"net.inet.tcp.sendbuf_max":                           noEffect,
	"net.inet.tcp.recvbuf_auto":                          noEffect,
	"net.inet.tcp.recvbuf_inc":                           noEffect,
	"net.inet.tcp.recvbuf_max":                           noEffect,
	"net.inet.tcp.tso":                                   noEffect, // segments are compared after they are cut
	"net.inet.tcp.lro.entries":                           noEffect,
	"net.inet.tcp.minmss":                                noEffect,
	"net.inet.tcp.nolocaltimewait":                       noEffect,
	"net.inet.tcp.fast_finwait2_recycle":                 asBuilt("0"),
	"net.inet.tcp.isn_reseed_interval":                   noEffect,
	"net.inet.tcp.insecure_rst":                          switchSetting(func(s *settings) *bool { return &s.config.Choices.ResetInWindow }, "1"),
	"net.inet.tcp.insecure_syn":                          switchSetting(func(s *settings) *bool { return &s.config.Choices.SynInWindow }, "1"),
	"net.inet.tcp.insecure_ack":                          noEffect, // a script that sees it fails where it does
	"net.inet.tcp.ack_war_timewindow":                    noEffect, // challenge ACKs are limited by count
	"net.inet.tcp.ack_war_cnt":                           noEffect,
	"net.inet.tcp.ts_offset_per_conn":                    asBuilt("1"),
	"net.inet.tcp.functions_default":                     noEffect, // which of its stacks FreeBSD runs
	"net.inet.tcp.functions_inherit_listen_socket_stack": noEffect,
	"net.inet.tcp.hostcache.purgenow":                    noEffect, // nothing is remembered of hosts
	"net.inet.tcp.hostcache.purge":                       noEffect,
	"net.inet.tcp.hostcache.enable":                      noEffect,
	"net.inet.tcp.fastopen.client_enable":                fastOpenSwitch(fastOpenClient),
	"net.inet.tcp.fastopen.server_enable":                fastOpenSwitch(fastOpenServer),
	"net.inet.tcp.fastopen.enabled":                      fastOpenSwitch(fastOpenServer),
	"net.inet.tcp.fastopen.setkey":                       noEffect,
	"net.inet.tcp.fastopen.acceptany":                    noEffect,
	"net.inet.tcp.fastopen.autokey":                      noEffect,
	"net.inet.tcp.fastopen.psk_enable":                   asBuilt("0"),
	"net.inet.tcp.fastopen.path_disable_time":            noEffect,
	"net.inet.icmp.icmplim":                              noEffect, // replies are limited by starfish.resets_per_second
	"net.inet6.icmp6.errppslimit":                        noEffect,
	"net.inet6.ip6.auto_flowlabel":                       noEffect,
	"kern.timecounter.alloweddeviation":                  noEffect, // the clock is virtual
	"kern.timecounter.hardware":                          noEffect,
}
