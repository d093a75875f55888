package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
	"github.com/MUCZ/Starfish/core/sim"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
	"github.com/MUCZ/Starfish/test/netns"
	"github.com/MUCZ/Starfish/test/relay"
)

// The far end of the relay: addresses of a kernel that only the relay leads to.
const (
	farV4 = "10.9.0.1"
	farV6 = "fd00:9::1"
)

// badLinks are what a relay does in both directions.
var badLinks = []struct {
	name string
	link sim.Link
	size int64 // bytes of a transfer
}{
	{"delaying", sim.Link{Delay: 20 * time.Millisecond}, 32 * mebibyte},
	{"jittery", sim.Link{Delay: 5 * time.Millisecond, Jitter: time.Millisecond}, 8 * mebibyte}, // each packet overtakes others
	{"lossy", sim.Link{Delay: 2 * time.Millisecond, Loss: 0.01}, 8 * mebibyte},
	{"losing in bursts", sim.Link{Delay: 2 * time.Millisecond, Burst: sim.Burst{Enter: 0.001, Leave: 0.2, LossBad: 0.8}}, 8 * mebibyte},
	{"reordering", sim.Link{Delay: 2 * time.Millisecond, Reorder: 0.1, ReorderDelay: 2 * time.Millisecond}, 8 * mebibyte},
	{"duplicating", sim.Link{Delay: 2 * time.Millisecond, Duplicate: 0.1}, 16 * mebibyte},
	{"damaging", sim.Link{Delay: 2 * time.Millisecond, Corrupt: 0.01}, 8 * mebibyte},
	{"narrow", sim.Link{Delay: 5 * time.Millisecond, Rate: 100_000_000, Queue: 256 << 10}, 16 * mebibyte},
	{"bad in every way", everyWay, 4 * mebibyte},
}

var everyWay = sim.Link{
	Delay: 5 * time.Millisecond, Jitter: 2 * time.Millisecond, Loss: 0.005, Duplicate: 0.01, Corrupt: 0.005,
	Reorder: 0.02, ReorderDelay: 5 * time.Millisecond, Rate: 200_000_000, Queue: 512 << 10,
}

// longFactor is how much more a transfer over a bad link moves with -e2e.long.
const longFactor = 32

// relayed is a host whose network reaches a second namespace through a relay only.
type relayed struct {
	*host
	far *netns.Namespace
}

// newRelayed starts the host, and a relay that ends with the test.
func newRelayed(t *testing.T, link sim.Link) *relayed {
	t.Helper()
	r := &relayed{host: newHost(t), far: netns.New(t)}
	startRelay(t, r.Namespace, r.far, link)
	routeOver(t, r.Namespace, "10.9.0.0/16", "fd00:9::/64", "10.8.0.1/32", "fd00:8::1/128")
	routeOver(t, r.far, "10.144.0.0/16", "fd00:144::/64", farV4+"/32", farV6+"/128")
	return r
}

// startRelay joins two namespaces by a relay, whose device is called relay0 in both.
func startRelay(t *testing.T, near, far *netns.Namespace, link sim.Link) {
	t.Helper()
	pool := zbuf.NewPool(0)
	a, b := relayDevice(t, near, pool), relayDevice(t, far, pool)
	const seed = 1
	r, err := relay.New(a, b, relay.Config{AtoB: link, BtoA: link, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
		there, back := r.Stats()
		t.Logf("there %+v, back %+v", there, back)
		if pool.InUse() != 0 {
			t.Errorf("the relay leaves %d bytes of buffers", pool.InUse())
		}
	})
}

func relayDevice(t *testing.T, ns *netns.Namespace, pool *zbuf.Pool) tun.Device {
	t.Helper()
	var d tun.Device
	if err := ns.Do(func() (err error) {
		d, err = tun.Open(tun.Config{Name: "relay0", Offload: tun.Off, MTU: 1500, Up: true, Pool: pool})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// routeOver has a namespace forward, and send to these networks through its relay device, where it has these addresses.
func routeOver(t *testing.T, ns *netns.Namespace, v4, v6, own4, own6 string) {
	t.Helper()
	ns.Run(t, fmt.Sprintf(`
		echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		ip address add %s dev relay0; ip address add %s dev relay0 nodad
		ip route add %s dev relay0; ip route add %s dev relay0`, own4, own6, v4, v6))
}

// TestRelay moves data each way between the stack and a kernel over bad links.
func TestRelay(t *testing.T) {
	for _, bad := range badLinks {
		t.Run(bad.name, func(t *testing.T) {
			size := bad.size
			if *long {
				size *= longFactor
			}
			h := newRelayed(t, bad.link)
			t.Run("send", func(t *testing.T) {
				l := listenIn(t, h.far, farV4)
				transfer(t, h.daemon.dial(t, client.DataSocket, l.Addr().String()), accept(t, l), 1, size)
			})
			t.Run("receive", func(t *testing.T) {
				l := h.daemon.listen(t, client.GRPCStream, net.JoinHostPort(ourV6, "0"))
				k := dialFrom(t, h.far, l.Addr())
				transfer(t, k, accept(t, l), 2, size)
			})
			h.daemon.wantIdle(t, second)
		})
	}
}

// TestRelayCrowd has many connections at once over a link that is bad in every way.
func TestRelayCrowd(t *testing.T) {
	h := newRelayed(t, everyWay)
	l := listenIn(t, h.far, farV4)
	go echo(l)
	crowd(t, h.host, func() (net.Conn, error) { return h.daemon.dialer(client.DataSocket).Dial("tcp", l.Addr().String()) })
	h.daemon.wantIdle(t, 5*time.Second)
}

// TestRelayPair has two starfishds move data both ways at once over a link that is bad in every way.
func TestRelayPair(t *testing.T) {
	needTun(t)
	near, far := netns.New(t), netns.New(t)
	startRelay(t, near, far, everyWay)
	routeOver(t, near, "10.145.0.0/16", "fd00:145::/64", "10.8.0.1/32", "fd00:8::1/128")
	routeOver(t, far, "10.144.0.0/16", "fd00:144::/64", farV4+"/32", farV6+"/128")
	ours := startDaemon(t, near, "--tun", device, "--address", ourV4+"/16", "--address", ourV6+"/64")
	theirs := startDaemon(t, far, "--tun", device, "--address", theirV4+"/16", "--address", theirV6+"/64")
	l := theirs.listen(t, client.DataSocket, net.JoinHostPort(theirV6, "0"))
	c := ours.dial(t, client.DataSocket, l.Addr().String())
	bothWays(t, c, accept(t, l), 4*mebibyte)
}
