package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
)

// Wireshark's filters for what must not be in a transfer over a link that loses nothing: what is sent again, and the rest.
const (
	resent     = "tcp.analysis.retransmission"
	suspicious = "tcp.analysis.out_of_order || tcp.analysis.lost_segment || " +
		"tcp.analysis.ack_lost_segment || tcp.analysis.zero_window || tcp.analysis.window_full || " +
		"tcp.checksum.status == Bad || ip.checksum.status == Bad || icmp || _ws.malformed"
	duplicates = "tcp.analysis.duplicate_ack"
)

// TestCapture has tcpdump record a transfer each way, and Wireshark find nothing to complain about in it. On a machine that
// keeps an end from running for some milliseconds, the other's tail loss probe repeats a segment, as it should: as many as
// both ends have sent are no fault. Even longer pauses bring timeouts, so one transfer in three must be clean.
func TestCapture(t *testing.T) {
	need(t, "tcpdump")
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark to read the capture with: apt-get install tshark")
	}
	// Without offload every packet on the device is complete: its checksum too.
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			h := newHost(t, "--offload", "off")
			var complaints string
			for range 3 {
				before := lossProbes(t, h)
				pcap := captureTransfers(t, h, f)
				if complaints = complaintsAbout(t, tshark, pcap, lossProbes(t, h)-before); complaints == "" {
					return
				}
				t.Log(complaints)
			}
			t.Error("no transfer of three was clean")
		})
	}
}

// captureTransfers records one transfer each way, and returns the file.
func captureTransfers(t *testing.T, h *host, f family) (pcap string) {
	t.Helper()
	pcap = filepath.Join(t.TempDir(), "pcap")
	stop := capture(t, h, pcap, 2048)
	l := h.kernelListen(t, f.kernels)
	transfer(t, h.daemon.dial(t, client.DataSocket, l.Addr().String()), accept(t, l), 1, 4*mebibyte)
	ours := h.daemon.listen(t, client.DataSocket, net.JoinHostPort(f.ours, "0"))
	transfer(t, h.kernelDial(t, ours.Addr()), accept(t, ours), 2, 4*mebibyte)
	stop()
	return pcap
}

// lossProbes is how many tail loss probes the stack and the kernel have sent.
func lossProbes(t *testing.T, h *host) int {
	t.Helper()
	// Two lines for each group: the names, and the values.
	lines := strings.Split(h.Run(t, "grep ^TcpExt: /proc/net/netstat"), "\n")
	for i, name := range strings.Fields(lines[0]) {
		if name == "TCPLossProbes" {
			n, err := strconv.Atoi(strings.Fields(lines[1])[i])
			if err != nil {
				t.Fatal(err)
			}
			return n + int(h.daemon.counter(t, "TcpExtTCPLossProbes"))
		}
	}
	t.Fatalf("the kernel does not count its tail loss probes: %s", lines[0])
	return 0
}

// complaintsAbout returns what Wireshark finds wrong in a capture of both transfers, in which so many tail loss probes
// were sent.
func complaintsAbout(t *testing.T, tshark, pcap string, probes int) string {
	t.Helper()
	read := func(flags ...string) string {
		// The payload is random: what other protocols' heuristics make of it is noise.
		all := []string{
			"-d", "tcp.port==1-65535,data",
			"-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-r", pcap,
		}
		return strings.TrimSpace(output(t, programLimit, exec.Command(tshark, append(all, flags...)...)))
	}
	packets := strings.Count(read("-Y", "tcp.len > 0"), "\n")
	if least := 8 * mebibyte / 1460; packets < least {
		t.Fatalf("%d packets with data in the capture, want at least %d", packets, least)
	}
	again := len(strings.FieldsFunc(read("-Y", resent), func(r rune) bool { return r == '\n' }))
	if probes > 0 && again <= probes {
		t.Logf("%d segments sent again, by %d tail loss probes", again, probes)
		return read("-Y", suspicious)
	}
	return strings.TrimSpace(read("-Y", resent+" || "+duplicates+" || "+suspicious) + "\n" + read("-q", "-z", "expert,warn"))
}

// capture records what crosses the device until it is stopped, of each packet so many bytes.
func capture(t *testing.T, h *host, pcap string, snap int) (stop func()) {
	t.Helper()
	dump := h.Command("tcpdump", "-i", device, "-w", pcap, "-s", strconv.Itoa(snap), "-B", "65536", "--immediate-mode", "-U", "-Z", "root", "tcp")
	log := new(lockedBuffer)
	dump.Stderr = log
	start(t, dump)
	ended := make(chan struct{})
	go func() {
		_ = dump.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = dump.Process.Kill()
		<-ended
	})
	eventually(t, 10*time.Second, "tcpdump listens", func() error {
		if !strings.Contains(log.String(), "listening on") {
			return errNotYet
		}
		return nil
	})
	return func() {
		t.Helper()
		awaitStill(t, pcap)
		if err := dump.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-ended
		if !regexp.MustCompile(`(?m)^0 packets dropped by kernel`).MatchString(log.String()) {
			t.Fatalf("the capture is not complete: %s", log)
		}
	}
}

// awaitStill waits until a file has not grown for a while: tcpdump leaves unread what it has not come to when it ends.
func awaitStill(t *testing.T, path string) {
	t.Helper()
	size, since := int64(-1), time.Now()
	eventually(t, programLimit, path+" has not grown", func() error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Size() != size {
			size, since = info.Size(), time.Now()
		}
		if time.Since(since) < time.Second {
			return errNotYet
		}
		return nil
	})
}
