package tun

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/core/zbuf"
)

func TestMode(t *testing.T) {
	for _, m := range []Mode{Auto, On, Off} {
		text, err := m.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		got := Mode(-1)
		if err := got.UnmarshalText(text); err != nil || got != m {
			t.Errorf("%s reads as %v, %v", text, got, err)
		}
	}
	var m Mode
	if err := m.UnmarshalText([]byte("yes")); err == nil || !strings.Contains(err.Error(), "auto, on or off") {
		t.Errorf("mode yes: %v", err)
	}
	if got := Mode(7).String(); got != "Mode(7)" {
		t.Errorf("String of an unknown mode = %s", got)
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := Config{Pool: zbuf.NewPool(0)}.complete()
	if err != nil || c.Queues != 1 || c.TxQueueLen != DefaultTxQueueLen || c.Logf == nil {
		t.Errorf("complete() = %+v, %v", c, err)
	}
}

func TestConfigErrors(t *testing.T) {
	pool := zbuf.NewPool(0)
	for _, tc := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "no buffer pool"},
		{Config{Pool: pool, Name: "a-name-of-16-byte"}, "longer than 15 bytes"},
		{Config{Pool: pool, Name: "a/b"}, "use letters and digits"},
		{Config{Pool: pool, Name: "tun%d"}, "use letters and digits"},
		{Config{Pool: pool, Name: "a b"}, "use letters and digits"},
		{Config{Pool: pool, Name: ".."}, "use letters and digits"},
		{Config{Pool: pool, Queues: 257}, "use 1 to 256"},
		{Config{Pool: pool, Queues: -1}, "use 1 to 256"},
		{Config{Pool: pool, MTU: 67}, "use 68 to 65535"},
		{Config{Pool: pool, MTU: 65536}, "use 68 to 65535"},
		{Config{Pool: pool, Offload: 3}, "use auto, on or off"},
		{Config{Pool: pool, Addresses: []netip.Prefix{{}}}, "prefix length"},
	} {
		if _, err := Open(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Open(%+v): %v, want … %s …", tc.cfg, err, tc.want)
		}
	}
}
