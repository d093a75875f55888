package sim

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// politePlan is one connection from host 0 to host 1 over a clean link of 10 ms, with a few bytes each way.
func politePlan() *plan {
	p := &plan{conns: []connPlan{{
		opens: [2]bool{true, false}, ports: [2]uint16{40_000, 80}, contentKeys: [2]content{1, 2},
	}}}
	for side := range 2 {
		p.hosts[side] = HostConfig{
			Addrs: []wire.Addr{wire.Addr4([4]byte{10, 0, 0, byte(side + 1)})},
			Stack: tcp.Config{MTU: 1500, RecvBuffer: tcp.Autotuning{Initial: 128 << 10, Max: 8 << 20}, SendBuffer: tcp.Autotuning{Initial: 128 << 10, Max: 8 << 20}},
		}
		p.links[side] = Link{Delay: 10 * time.Millisecond}
		p.conns[0].users[side] = userPlan{
			total: 3000, piece: 1000, limit: 10_000, ending: endHalfClose,
			options: tcp.Options{UserTimeout: 24 * time.Hour, ConnectTimeout: 24 * time.Hour},
		}
	}
	return p
}

// TestForgottenByCookie (found by seed 5699): what a SYN cookie was to become is lost when nothing that the link lets
// through within the cookie's life brings it back. Short of that, the connection is there.
func TestForgottenByCookie(t *testing.T) {
	for _, c := range []struct {
		silence   time.Duration
		forgotten int
	}{{0, 0}, {time.Minute, 0}, {5 * time.Minute, 1}} {
		p := politePlan()
		p.hosts[1].Stack.SynCookies = tcp.SynCookiesAlways
		p.links[0].Blackouts = []Period{{From: tcp.Time(5 * time.Millisecond), To: tcp.Time(c.silence)}}
		res, trace, err := playPlan(New(1), p, traceLines)
		if err != nil {
			t.Fatalf("after a silence of %v: %v\n%s", c.silence, err, trace)
		}
		if res.Forgotten != c.forgotten {
			t.Errorf("after a silence of %v: %d connections forgotten, want %d\n%s", c.silence, res.Forgotten, c.forgotten, trace)
		}
	}
}
