package e2e

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
)

// TestScan has nmap look at an open port and a closed one, as a stranger would.
func TestScan(t *testing.T) {
	need(t, "nmap")
	h := newHost(t)
	l := h.daemon.listen(t, client.DataSocket, net.JoinHostPort(ourV4, "7"))
	go echo(l)
	scan := func(flags ...string) string {
		t.Helper()
		return output(t, programLimit, h.Command("nmap", append(flags, "-n", "-Pn", "-p", "7,9", ourV4)...))
	}

	t.Run("fingerprint", func(t *testing.T) {
		found := scan("-O", "-v", "--max-os-tries", "1")
		difficulty := regexp.MustCompile(`TCP Sequence Prediction: Difficulty=(\d+)`).FindStringSubmatch(found)
		if difficulty == nil {
			t.Fatalf("no sequence prediction in:\n%s", found)
		}
		if n, _ := strconv.Atoi(difficulty[1]); n < 250 {
			t.Errorf("initial sequence numbers are predicted at difficulty %d, want at least 250", n)
		}
		// Ours are atomic packets, whose identifier says nothing (RFC 6864 §4.1).
		if !strings.Contains(found, "IP ID Sequence Generation: All zeros") {
			t.Errorf("IP identifiers tell something:\n%s", found)
		}
	})

	// RFC 9293 §3.10.7.1 and §3.10.7.2: what LISTEN and CLOSED say to segments that are no SYN.
	for flag, want := range map[string][2]string{
		"-sS": {"open", "closed"},
		"-sF": {"open|filtered", "closed"}, // FIN alone: dropped in LISTEN, RST in CLOSED
		"-sN": {"open|filtered", "closed"}, // no flag
		"-sX": {"open|filtered", "closed"}, // FIN, PSH, URG
		"-sA": {"unfiltered", "unfiltered"},
		"-sM": {"closed", "closed"}, // FIN, ACK: RST from both
		"-sW": {"closed", "closed"}, // the window of an RST says nothing
	} {
		t.Run(flag, func(t *testing.T) {
			found := scan(flag)
			for i, port := range []string{"7", "9"} {
				state := regexp.MustCompile(`(?m)^` + port + `/tcp\s+(\S+)`).FindStringSubmatch(found)
				if state == nil || state[1] != want[i] {
					t.Errorf("port %s: %v, want %s", port, state, want[i])
				}
			}
		})
	}
}

// TestTimestampsTellNothing: RFC 7323 §7.1: the clock in the timestamps begins elsewhere for each pair of addresses.
func TestTimestampsTellNothing(t *testing.T) {
	need(t, "hping3")
	h := newHost(t)
	l := h.daemon.listen(t, client.DataSocket, net.JoinHostPort("", "7"))
	go echo(l)
	var values []int64
	for _, to := range []string{ourV4, "10.144.9.9", "10.144.77.1"} {
		said, _ := h.Command("hping3", "-S", "-p", "7", "--tcp-timestamp", "-c", "1", to).CombinedOutput()
		value := regexp.MustCompile(`tcpts=(\d+)`).FindSubmatch(said)
		if value == nil {
			t.Fatalf("no timestamp from %s:\n%s", to, said)
		}
		n, _ := strconv.ParseInt(string(value[1]), 10, 64)
		for _, other := range values {
			if apart := (n - other); max(apart, -apart) < 60_000 {
				t.Errorf("%s: %d, another address said %d: one clock", to, n, other)
			}
		}
		values = append(values, n)
	}
}

// TestSynFlood has many handshakes begin that nobody means to finish, and curl get through meanwhile.
func TestSynFlood(t *testing.T) {
	need(t, "hping3", "curl")
	h := newHost(t)
	l := h.daemon.listen(t, client.DataSocket, net.JoinHostPort(ourV4, "80"))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "still here") })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })

	flood := h.Command("hping3", "-q", "-S", "-p", "80", "--rand-source", "-i", "u20", "-c", "200000", ourV4)
	start(t, flood)
	over := make(chan error, 1)
	go func() { over <- flood.Wait() }()
	t.Cleanup(func() { _ = flood.Process.Kill() })
	eventually(t, 10*time.Second, "the queue of handshakes is full", func() error {
		if h.daemon.counter(t, "TcpExtSyncookiesSent") == 0 {
			return errNotYet
		}
		return nil
	})
	for i := range 10 {
		began := time.Now()
		got := output(t, programLimit, h.Command("curl", "-sS", "--max-time", "20", "http://"+ourV4+"/"))
		if got != "still here" {
			t.Fatalf("request %d: %q", i, got)
		}
		t.Logf("request %d took %v", i, time.Since(began).Round(time.Millisecond))
	}
	select {
	case <-over:
		t.Error("the flood was over before the requests were")
	default:
	}
}
