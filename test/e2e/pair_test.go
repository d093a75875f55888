package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/test/netns"
)

// The second host's addresses.
const (
	theirV4 = "10.145.0.2"
	theirV6 = "fd00:145::2"
)

// newPair makes two hosts with a starfishd each, whose kernels route between their devices over a veth pair.
func newPair(t *testing.T, flags ...string) (ours, theirs *host) {
	t.Helper()
	needTun(t)
	a, b := netns.New(t), netns.New(t)
	a.Join(t, "toB", []string{"192.0.2.1/24", "2001:db8::1/64"}, b, "toA", []string{"192.0.2.2/24", "2001:db8::2/64"})
	route := func(ns *netns.Namespace, far, via string) {
		ns.Run(t, fmt.Sprintf(`
			echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
			ip route add 10.%s.0.0/16 via 192.0.2.%s; ip route add fd00:%s::/64 via 2001:db8::%s`, far, via, far, via))
	}
	route(a, "145", "2")
	route(b, "144", "1")
	begin := func(ns *netns.Namespace, v4, v6 string) *host {
		all := append([]string{"--tun", device, "--address", v4 + "/16", "--address", v6 + "/64"}, flags...)
		return &host{ns, startDaemon(t, ns, all...)}
	}
	return begin(a, ourV4, ourV6), begin(b, theirV4, theirV6)
}

// TestPair has two starfishds talk to each other over a routed network.
func TestPair(t *testing.T) {
	for _, offload := range []string{"on", "off"} {
		ours, theirs := newPair(t, "--offload", offload)
		for family, address := range map[string]string{"IPv4": theirV4, "IPv6": theirV6} {
			for _, transport := range transports {
				t.Run(fmt.Sprintf("offload=%s/%s/%s", offload, family, transport), func(t *testing.T) {
					l := theirs.daemon.listen(t, transport, net.JoinHostPort(address, "0"))
					c := ours.daemon.dial(t, transport, l.Addr().String())
					bothWays(t, c, accept(t, l), bulkSize()/2)
				})
			}
		}
		ours.daemon.wantIdle(t, second)
		theirs.daemon.wantIdle(t, second)
	}
}

// TestLocal has the stack talk to itself, between two of its addresses: nothing of it reaches the device.
func TestLocal(t *testing.T) {
	h := newHost(t)
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			l := h.daemon.listen(t, transport, "10.144.7.7:0")
			c := h.daemon.dial(t, transport, l.Addr().String())
			bothWays(t, c, accept(t, l), bulkSize()/2)
		})
	}
	h.daemon.wantIdle(t, second)
	if sent := h.daemon.counter(t, "DevicePacketsOut"); sent != 0 {
		t.Errorf("%d packets went to the device", sent)
	}
}

// TestPing sends echo requests from the kernel's side to addresses that only the stack has.
func TestPing(t *testing.T) {
	h := newHost(t)
	for _, tt := range []struct {
		network, address string
		request, reply   byte // the message types of RFC 792 and RFC 4443
	}{{"ip4:icmp", "10.144.200.1", 8, 0}, {"ip6:ipv6-icmp", ourV6, 128, 129}} {
		t.Run(tt.network, func(t *testing.T) {
			var c *net.IPConn
			if err := h.Do(func() error {
				dialled, err := net.Dial(tt.network, tt.address)
				c, _ = dialled.(*net.IPConn)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			request := append([]byte{tt.request, 0, 0, 0, 1, 2, 3, 4}, "a payload"...)
			binary.BigEndian.PutUint16(request[2:], ^wire.Fold(wire.Sum(0, request))) // the kernel does it again for IPv6
			if _, err := c.Write(request); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			answer := make([]byte, 100)
			for {
				n, _, err := c.ReadFromIP(answer) // without the header of IPv4
				if err != nil {
					t.Fatal(err)
				}
				if answer[0] != tt.reply {
					continue // a raw socket gets others too, such as neighbour discovery's
				}
				if !bytes.Equal(answer[4:n], request[4:]) {
					t.Errorf("the answer is %x to %x", answer[:n], request)
				}
				return
			}
		})
	}
}
