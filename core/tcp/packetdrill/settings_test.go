package packetdrill

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

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
	for _, l := range [][2]string{{"wire_client", ""}, {"mtu", "x"}, {"ip_version", "ipv5"}, {"dialect", "plan9"}, {"local_ip", "x"}} {
		if err := s.line(l[0], l[1]); err == nil {
			t.Errorf("--%s=%s was taken", l[0], l[1])
		}
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
