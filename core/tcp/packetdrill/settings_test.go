package packetdrill

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestCommands(t *testing.T) {
	s := newSettings(&Options{})
	text := `sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_fin_timeout=7
sysctl -q -w net.ipv4.tcp_rmem="4096 20000 30000" && sysctl starfish.quick_ack=1 # a comment
./set_sysctls.py /proc/sys/net/ipv4/tcp_ecn=0 /proc/sys/net/ipv4/tcp_timestamps=0
/tmp/sysctl_restore_${PPID}.sh`
	if err := s.command(&Command{Text: text}, false); err != nil {
		t.Fatal(err)
	}
	o := &s.options
	if !o.NoSACK || !o.NoTimestamps || !o.QuickAck || o.RecvBuffer != 20000 || s.config.FinWait2 != 7*time.Second {
		t.Errorf("%+v", o)
	}
	for _, text := range []string{
		"tc qdisc add dev tun0 root fq", "sysctl -q net.ipv4.tcp_unknown=1", "sysctl net.ipv4.tcp_ecn=1", "../common/defaults.sh",
		"sysctl net.ipv4.tcp_congestion_control=dctcp", "sysctl starfish.unknown=1", "sysctl net.core.somaxconn=1", "sleep 1",
	} {
		var f *Failure
		if err := s.command(&Command{Text: text, Line: 3}, false); !errors.As(err, &f) || f.Cause != Unsupported || f.Line != 3 {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := s.command(&Command{Text: "../common/defaults.sh && sysctl -q net.ipv4.tcp_keepalive_probes=4"}, true); err != nil {
		t.Error(err)
	}
	if o.KeepAliveCount != 4 {
		t.Errorf("%d probes", o.KeepAliveCount)
	}
}

// TestAsBuilt: a value that asks for what the engine does not do is refused.
func TestAsBuilt(t *testing.T) {
	s := newSettings(&Options{})
	if err := s.sysctl("net.ipv4.tcp_recovery", "1"); err != nil {
		t.Error(err)
	}
	if err := s.sysctl("net.ipv4.tcp_recovery", "0"); err == nil {
		t.Error("RACK can't be switched off")
	}
}

func TestLines(t *testing.T) {
	s := newSettings(&Options{Tolerance: time.Second})
	for _, l := range [][2]string{{"tolerance_usecs", "70"}, {"mtu", "1400"}, {"ip_version", "ipv6"}, {"remote_ip", "198.51.100.7"}} {
		if err := s.line(l[0], l[1]); err != nil {
			t.Errorf("--%s=%s: %v", l[0], l[1], err)
		}
	}
	if s.tolerance != 70*time.Microsecond || s.config.MTU != 1400 || !s.v6 || s.remote[0].String() != "198.51.100.7" {
		t.Errorf("%+v", s)
	}
	for _, l := range [][2]string{{"wire_client", ""}, {"mtu", "x"}, {"ip_version", "ipv4-mapped-ipv6"}, {"local_ip", "x"}} {
		if err := s.line(l[0], l[1]); err == nil {
			t.Errorf("--%s=%s was taken", l[0], l[1])
		}
	}
}

func TestShellWords(t *testing.T) {
	got := shellWords(` a  'b c'd "" "e f=1 2"`)
	if want := []string{"a", "b cd", "", "e f=1 2"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestErrnos(t *testing.T) {
	if e, ok := errnoOf(tcp.ErrReset); e != "ECONNRESET" || !ok {
		t.Errorf("%q", e)
	}
	if _, ok := errnoOf(failf(ParseError, 0, "x")); ok {
		t.Error("a failure of the runner is no errno")
	}
	if !sameErrno("EWOULDBLOCK", "EAGAIN") || sameErrno("EPIPE", "EAGAIN") {
		t.Error("names are compared wrongly")
	}
}
