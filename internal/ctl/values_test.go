package ctl

import (
	"net/netip"
	"testing"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int{
		"65536": 65536, "64K": 65536, "64k": 65536, "64KiB": 65536, "4M": 4 << 20, "1G": 1 << 30, "17b": 17, "0": 0,
	} {
		var v sizeValue
		if err := v.Set(text); err != nil || int(v) != want {
			t.Errorf("%s: %d, %v, want %d", text, v, err, want)
		}
	}
	for _, text := range []string{"", "K", "-1", "1.5M", "4X", "2G", "99999999999999999999"} {
		var v sizeValue
		if v.Set(text) == nil {
			t.Errorf("%q is taken for %d", text, v)
		}
	}
}

func TestSource(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.2": "10.0.0.2:0", "10.0.0.2:40": "10.0.0.2:40", "fd00::2": "[fd00::2]:0", "[fd00::2]:40": "[fd00::2]:40",
		"[fd00::2]": "[fd00::2]:0", ":40": "invalid AddrPort",
	} {
		var v sourceValue
		if err := v.Set(text); err != nil || netip.AddrPort(v).String() != want {
			t.Errorf("%s: %v, %v, want %s", text, netip.AddrPort(v), err, want)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"host:80"}, "host:80"},
		{[]string{"host", "80"}, "host:80"},
		{[]string{"fd00::2", "80"}, "[fd00::2]:80"},
		{[]string{"[fd00::2]", "80"}, "[fd00::2]:80"},
		{[]string{"[fd00::2]:80"}, "[fd00::2]:80"},
	} {
		if got, err := target(test.args); err != nil || got != test.want {
			t.Errorf("%q: %s, %v", test.args, got, err)
		}
	}
	if _, err := target([]string{"fd00::2"}); err == nil {
		t.Error("an IPv6 address is taken for HOST:PORT")
	}
	if got, err := listenTarget([]string{"80"}); err != nil || got != ":80" {
		t.Errorf("%s, %v", got, err)
	}
}
