package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
)

// TestIperf has iperf3's client talk to iperf3's server with the stack in between: a relay takes its connections from
// one side and opens them on the other.
func TestIperf(t *testing.T) {
	need(t, "iperf3")
	h := newHost(t)
	background(t, h.Command("iperf3", "--server", "--bind", kernelV4, "--port", fmt.Sprint(iperfPort)))
	awaitListener(t, h.Namespace, iperfPort)
	server := fmt.Sprintf("%s:%d", kernelV4, iperfPort)

	// iperf3 ── kernel TCP ── relay ── stack ── iperf3 --server
	opened := h.kernelListen(t, kernelV4)
	forward(t, opened, func() (net.Conn, error) { return h.daemon.dialer(client.DataSocket).Dial("tcp", server) })
	// iperf3 ── stack ── relay ── kernel TCP ── iperf3 --server
	accepted := h.daemon.listen(t, client.DataSocket, net.JoinHostPort(ourV4, "0"))
	forward(t, accepted, func() (net.Conn, error) { return h.Dial(server) })

	for name, l := range map[string]net.Listener{"opened": opened, "accepted": accepted} {
		for _, direction := range []string{"--client", "--reverse --client"} {
			t.Run(name+"/"+direction, func(t *testing.T) {
				address := l.Addr().(*net.TCPAddr)
				text := h.Run(t, fmt.Sprintf("timeout 60 iperf3 --json --parallel 2 --time 1 --port %d %s %s", address.Port, direction, address.IP))
				var report struct {
					Error string
					End   struct {
						Received struct {
							Bytes         int64
							BitsPerSecond float64 `json:"bits_per_second"`
						} `json:"sum_received"`
					}
				}
				if err := json.Unmarshal([]byte(text), &report); err != nil || report.Error != "" {
					t.Fatalf("%v %s\n%s", err, report.Error, text)
				}
				if report.End.Received.Bytes < mebibyte {
					t.Errorf("received %d bytes in a second", report.End.Received.Bytes)
				}
				t.Logf("%.2f Gbit/s", report.End.Received.BitsPerSecond/1e9)
			})
		}
	}
}

// forward relays every connection of l to one that dial opens, until the listener is closed.
func forward(t testing.TB, l net.Listener, dial func() (net.Conn, error)) {
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := dial()
			if err != nil {
				t.Errorf("forward: %v", err)
				_ = near.Close()
				continue
			}
			go pipe(near, far)
			go pipe(far, near)
		}
	}()
}

// pipe copies one direction. The end of it half-closes the other connection, and both are closed a while later at the
// latest, for an iperf3 server closes without waiting for its client.
func pipe(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.(duplex).CloseWrite()
	time.AfterFunc(5*time.Second, func() { _ = to.Close() })
}
