package client

import (
	"strings"
	"testing"
	"time"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

func TestOptionsSet(t *testing.T) {
	var o Options
	for name, text := range map[string]string{
		"no_delay": "false", "cork": "", "ttl": "5", "recv_buffer": "64K", "send_buffer": "4m", "min_rto": "30ms",
		"congestion_control": "reno", "keep_alive": "-1s", "fixed_isn": "0x10",
	} {
		if err := o.Set(name, text); err != nil {
			t.Errorf("%s=%s: %v", name, text, err)
		}
	}
	o.NoDelay, o.TTL, o.TrafficClass = true, 9, 8
	msg, err := o.proto()
	if err != nil {
		t.Fatal(err)
	}
	if msg.NoDelay == nil || msg.GetNoDelay() || !msg.GetCork() || msg.GetTtl() != 5 || msg.GetTrafficClass() != 8 {
		t.Errorf("set values don't go before fields: %v", msg)
	}
	if msg.GetRecvBuffer() != 65536 || msg.GetSendBuffer() != 4<<20 || msg.GetMinRto().AsDuration() != 30*time.Millisecond {
		t.Errorf("units: %v", msg)
	}
	if msg.GetCongestionControl() != starfishv1.CongestionControl_CONGESTION_CONTROL_RENO || msg.GetKeepAlive().AsDuration() != -time.Second || msg.GetFixedIsn() != 16 {
		t.Errorf("%v", msg)
	}
}

// A copy of Options doesn't see what is set afterwards.
func TestOptionsSetCopies(t *testing.T) {
	var o Options
	if err := o.Set("ttl", "1"); err != nil {
		t.Fatal(err)
	}
	before := o
	if err := o.Set("ttl", "2"); err != nil {
		t.Fatal(err)
	}
	if msg, _ := before.proto(); msg.GetTtl() != 1 {
		t.Errorf("TTL %d in the copy", msg.GetTtl())
	}
}

func TestOptionsSetErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nodelay", "1", "the options are congestion_control, "},
		{"no_delay", "maybe", "neither true nor false"},
		{"ttl", "many", "not a number"},
		{"ttl", "", "not a number"},
		{"recv_buffer", "4G", "not a number below 4G"},
		{"recv_buffer", "-1", "not a number"},
		{"min_rto", "30", "not a time with its unit"},
		{"congestion_control", "vegas", "none of reno, cubic"},
		{"congestion_control", "unspecified", "none of"},
	} {
		var o Options
		if err := o.Set(c.name, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v, want %q", c.name, c.text, err, c.want)
		}
	}
}

// The names of ECN mean the same to ParseECN and to Set.
func TestECNNames(t *testing.T) {
	for value := range starfishv1.Ecn_name {
		name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(starfishv1.Ecn(value).String(), "ECN_"), "_", "-"))
		if value == 0 {
			name = ""
		}
		ecn, err := ParseECN(name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		o := Options{ECN: ecn}
		if msg, err := o.proto(); err != nil || msg.GetEcn() != starfishv1.Ecn(value) {
			t.Errorf("%q is %v, %v", name, msg.GetEcn(), err)
		}
	}
	if _, err := ParseECN("sometimes"); err == nil {
		t.Error("an unknown name has a meaning")
	}
}
