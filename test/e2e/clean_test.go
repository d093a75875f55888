package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
)

// headersOnly is enough of a packet for the longest headers of IPv6 and TCP, so that the capture of 1 GiB stays small. Of a
// packet that is cut off Wireshark can't check the TCP checksum: TestCapture does that, of whole ones.
const headersOnly = 128

// faults are Wireshark's words for what must not be in a transfer over a link that loses nothing. A window that is full, or
// closed for a while, is none: the receiver's program may be the slower one.
var faults = regexp.MustCompile(`(?i)retransmission|out-of-order|not captured|wasn't captured|duplicate ack|checksum|malformed`)

// expertLine is one of the lines of "-z expert": how often, what group, which protocol, what.
var expertLine = regexp.MustCompile(`(?m)^\s*(\d+)\s+\S+\s+(?:TCP|IPv4|IPv6)\s+(.+?)\s*$`)

// TestCleanTransfer records a long transfer each way, and Wireshark's experts find nothing in it that was sent again, came
// out of order or is malformed. As in TestCapture tail loss probes of a machine that is busy are no fault, and one transfer
// in three must be clean.
func TestCleanTransfer(t *testing.T) {
	need(t, "tcpdump", "tshark")
	// Without offload every segment is a packet of its own on the device.
	h := newHost(t, "--offload", "off")
	for _, way := range []struct {
		name string
		ends func(t *testing.T) (from, to duplex)
	}{
		{"sending", func(t *testing.T) (from, to duplex) {
			l := h.kernelListen(t, kernelV4)
			from = h.daemon.dial(t, client.DataSocket, l.Addr().String())
			return from, accept(t, l)
		}},
		{"receiving", func(t *testing.T) (from, to duplex) {
			l := h.daemon.listen(t, client.DataSocket, net.JoinHostPort(ourV4, "0"))
			from = h.kernelDial(t, l.Addr())
			return from, accept(t, l)
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			var found map[string]int
			for range 3 {
				before := lossProbes(t, h)
				pcap := filepath.Join(t.TempDir(), "pcap")
				stop := capture(t, h, pcap, headersOnly)
				from, to := way.ends(t)
				transfer(t, from, to, 1, bulkSize())
				stop()
				if found = expertFaults(t, pcap); excused(found, lossProbes(t, h)-before) {
					return
				}
				t.Logf("Wireshark finds %v", found)
			}
			t.Errorf("no transfer of three was clean; the last had %v", found)
		})
	}
}

// excused reports whether all that was found are segments that so many tail loss probes have sent again, and what follows
// from them.
func excused(found map[string]int, probes int) bool {
	again := 0
	for what, n := range found {
		if !regexp.MustCompile(`(?i)retransmission|duplicate ack`).MatchString(what) {
			return false
		}
		again += n
	}
	return again <= 2*probes
}

// expertFaults returns what Wireshark finds fault with in a capture of a bulk transfer, and how often.
func expertFaults(t *testing.T, pcap string) map[string]int {
	t.Helper()
	info, err := os.Stat(pcap)
	if err != nil {
		t.Fatal(err)
	}
	// A packet of data has 1,460 bytes at most; its record is the headers and 16 bytes.
	if least := bulkSize() / 1460 * headersOnly; info.Size() < least {
		t.Fatalf("the capture has %d bytes, of all packets it would be %d at least", info.Size(), least)
	}
	began := time.Now()
	limit := programLimit + time.Duration(bulkSize()/mebibyte)*time.Second
	// The payload is random: what other protocols' heuristics make of it is noise.
	told := output(t, limit, exec.Command("tshark", "-d", "tcp.port==1-65535,data", "-o", "ip.check_checksum:TRUE", "-r", pcap, "-q", "-z", "expert,note"))
	found := make(map[string]int)
	for _, line := range expertLine.FindAllStringSubmatch(told, -1) {
		if n, err := strconv.Atoi(line[1]); err == nil && faults.MatchString(line[2]) {
			found[line[2]] += n
		}
	}
	t.Logf("%s of %d MiB, read in %v, says:\n%s", filepath.Base(pcap), info.Size()/mebibyte, time.Since(began).Round(time.Second), told)
	return found
}
