package e2e

import (
	"fmt"
	"net"
	"testing"

	"github.com/MUCZ/Starfish/client"
)

var transports = []client.Transport{client.DataSocket, client.GRPCStream}

// TestBulk moves data each way, over every combination of offload, MTU, address family and transport.
func TestBulk(t *testing.T) {
	for _, offload := range []string{"on", "off"} {
		for _, mtu := range []int{1500, 576, 65535} {
			t.Run(fmt.Sprintf("offload=%s/mtu=%d", offload, mtu), func(t *testing.T) {
				addresses := []string{"--address", ourV4 + "/16"}
				families := []string{"IPv4"}
				if mtu >= 1280 { // RFC 8200 §5: no link of IPv6 has less
					addresses = append(addresses, "--address", ourV6+"/64")
					families = append(families, "IPv6")
				}
				h := newHostAt(t, addresses, "--offload", offload, "--mtu", fmt.Sprint(mtu))
				for _, family := range families {
					for _, transport := range transports {
						t.Run(family+"/"+transport.String(), func(t *testing.T) { bulk(t, h, family, transport) })
					}
				}
				h.daemon.wantIdle(t, second)
			})
		}
	}
}

// bulk sends over a connection that the stack opened, and receives over one that it accepted.
func bulk(t *testing.T, h *host, family string, transport client.Transport) {
	ours, kernels := ourV4, kernelV4
	if family == "IPv6" {
		ours, kernels = ourV6, kernelV6
	}
	t.Run("send", func(t *testing.T) {
		l := h.kernelListen(t, kernels)
		c := h.daemon.dial(t, transport, l.Addr().String())
		transfer(t, c, accept(t, l), 1, bulkSize())
	})
	t.Run("receive", func(t *testing.T) {
		l := h.daemon.listen(t, transport, net.JoinHostPort(ours, "0"))
		k := h.kernelDial(t, l.Addr())
		transfer(t, k, accept(t, l), 2, bulkSize())
	})
}

// accept takes one connection, which ends with the test.
func accept(t testing.TB, l net.Listener) duplex {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(duplex)
}

// TestDuplex moves data both ways at once over one connection.
func TestDuplex(t *testing.T) {
	h := newHost(t)
	for _, transport := range transports {
		t.Run(transport.String(), func(t *testing.T) {
			l := h.kernelListen(t, kernelV6)
			ours := h.daemon.dial(t, transport, l.Addr().String())
			bothWays(t, ours, accept(t, l), bulkSize()/2)
		})
	}
}

// bothWays sends n bytes each way at once and compares the SHA-256 sums.
func bothWays(t *testing.T, a, b duplex, n int64) {
	t.Helper()
	type result struct{ sent, got sum }
	results := make(chan result, 2)
	end := func(c duplex, seed byte) {
		sent := make(chan sum, 1)
		go func() { sent <- send(c, seed, n) }()
		got := receive(c)
		results <- result{<-sent, got}
	}
	setDeadlines(n, a, b)
	go end(a, 1)
	go end(b, 2)
	one, other := <-results, <-results
	for _, pair := range [][2]sum{{one.sent, other.got}, {other.sent, one.got}} {
		if err := compare(pair[0], pair[1], n); err != nil {
			t.Error(err)
		}
	}
}
