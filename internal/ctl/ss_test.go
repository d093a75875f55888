package ctl

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/internal/daemontest"
)

// sample is a busy connection, a new one, one that nobody owns, and a listener.
func sample() ([]*starfishv1.Listener, []*starfishv1.Connection) {
	ms := func(n float64) *durationpb.Duration {
		return durationpb.New(time.Duration(n * float64(time.Millisecond)))
	}
	at := func(address string, port uint32) *starfishv1.Endpoint {
		return &starfishv1.Endpoint{Address: address, Port: port}
	}
	owner := &starfishv1.Owner{Uid: 1000, Pid: 4711, Process: "curl"}
	listeners := []*starfishv1.Listener{
		{Id: 1, Local: at("10.144.0.2", 80), Backlog: 4096, AcceptQueue: 2, Accepted: 17, Owner: owner},
		{Id: 2, Local: at("", 8080), Backlog: 128, Overflows: 3, SynQueue: 1, Owner: owner},
	}
	connections := []*starfishv1.Connection{
		{
			Id: 7, State: starfishv1.ConnectionState_CONNECTION_STATE_ESTABLISHED, Local: at("10.144.0.2", 40000),
			Remote: at("192.0.2.1", 443), Owner: owner, SoftError: "EHOSTUNREACH", Info: &starfishv1.TcpInfo{
				SendQueue: 120_000, NotSent: 91_040, Timestamps: true, Sack: true, FastOpen: true, Ecn: "accurate", EcnCapable: true, DeliveredCe: 4, DeliveredCeBytes: 5792, CeBytesReceived: 20, EcnReductions: 3, WindowScale: true, SendWindowScale: 7,
				RecvWindowScale: 9, CongestionControl: starfishv1.CongestionControl_CONGESTION_CONTROL_CUBIC,
				CongestionState: "recovery", Rto: ms(204), Rtt: ms(3.5), RttVariation: ms(0.75), MinRtt: ms(0.1), Mss: 1448,
				PathMtu: 1500, CongestionWindow: 28_960, SlowStartThreshold: 14_480, InFlight: 28_960, BytesSent: 1_000_000,
				BytesAcked: 880_000, BytesRetransmitted: 2896, BytesReceived: 5, SegmentsSent: 700, SegmentsReceived: 350,
				Retransmitted: 2, Timeouts: 1, DeliveryRate: 12_500_000, PacingRate: 1_250_000_000, RecvBuffer: 4 << 20,
				SendWindow: 65_535, LastSent: ms(12), LastReceived: ms(15), Reordered: 4, Backoff: 1,
			},
		},
		{
			Id: 12, State: starfishv1.ConnectionState_CONNECTION_STATE_SYN_SENT, Local: at("fd00::2", 50001),
			Remote: at("2001:db8::1", 22), Owner: owner, Info: &starfishv1.TcpInfo{Rto: ms(1000), RecvBuffer: 65_536},
		},
		{
			State: starfishv1.ConnectionState_CONNECTION_STATE_TIME_WAIT, Local: at("10.144.0.2", 80),
			Remote: at("10.0.0.9", 33_000),
		},
	}
	return listeners, connections
}

func TestFormatSockets(t *testing.T) {
	golden(t, "ss.txt", formatSockets(sample()))
}

func TestSocketRecords(t *testing.T) {
	listeners, connections := sample()
	var b strings.Builder
	for _, l := range listeners {
		if err := writeJSON(&b, listenerRecord(l)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range connections {
		if err := writeJSON(&b, connectionRecord(c)); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "ss.json", b.String())
}

func TestFilter(t *testing.T) {
	listeners, connections := sample()
	for _, test := range []struct {
		filter    string
		wantPorts string // local ports of what passes
	}{
		{"", "80 8080 40000 50001 80"},
		{"state established", "40000"},
		{"state ESTAB", "40000"},
		{"state listening", "80 8080"},
		{"state connected", "40000 50001 80"},
		{"state all", "80 8080 40000 50001 80"},
		{"exclude time-wait", "80 8080 40000 50001"},
		{"exclude connected", "80 8080"},
		{"dport = :443", "40000"},
		{"dport=:443", "40000"},
		{"dport eq 22", "50001"},
		{"sport 80", "80 80"},
		{"sport 80 and state time-wait", "80"},
		{"src 10.144.0.0/16", "80 40000 80"},
		{"dst 2001:db8::1", "50001"},
		{"dst [2001:db8::1]", "50001"},
		{"id 12", "50001"},
	} {
		f, err := parseFilter(strings.Fields(test.filter))
		if err != nil {
			t.Errorf("%s: %v", test.filter, err)
			continue
		}
		var ports []string
		for _, l := range listeners {
			if f.matchListener(l) {
				ports = append(ports, jsonNumber(uint64(l.GetLocal().GetPort())))
			}
		}
		for _, c := range connections {
			if f.match(c) {
				ports = append(ports, jsonNumber(uint64(c.GetLocal().GetPort())))
			}
		}
		if got := strings.Join(ports, " "); got != test.wantPorts {
			t.Errorf("%s: %s, want %s", test.filter, got, test.wantPorts)
		}
	}
}

func TestRates(t *testing.T) {
	for bytes, want := range map[uint64]string{1: "8bps", 125: "1.0kbps", 125_000: "1.0Mbps", 1_250_000_000: "10.0Gbps"} {
		if got := bitRate(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}

// TestSocketsOfDaemon looks at a connection that lives.
func TestSocketsOfDaemon(t *testing.T) {
	socket := daemontest.Start(t)
	server, address := listenOn(t, socket, "-k")
	caller := dial(t, socket, address)
	caller.send(t, "x\n")
	server.stdout.await(t, "x")
	status, table, _ := execute(t, "ss", "-tinp", "--socket", socket)
	for _, want := range []string{
		`(?m)^State +Recv-Q +Send-Q +Local Address:Port +Peer Address:Port +Process$`,
		`(?m)^LISTEN +0 +\d+ +` + regexp.QuoteMeta(address) + ` +\*:\* +users:\(\("[^"]+",pid=\d+,listener=1\)\)$`,
		`(?m)^ESTAB +0 +\d+ +[0-9.]+:\d+ +` + regexp.QuoteMeta(address) + ` +users:\(\("[^"]+",pid=\d+,id=\d+\)\)$`,
		`(?m)^\t .*cubic wscale:\d+,\d+ rto:[0-9.]+ rtt:[0-9.]+/[0-9.]+ mss:\d+ .*cwnd:\d+ `,
	} {
		if status != exitOK || !regexp.MustCompile(want).MatchString(table) {
			t.Errorf("status %d; no %s in\n%s", status, want, table)
		}
	}
	_, lines, _ := execute(t, "ss", "--json", "--socket", socket, "state", "established")
	if n := strings.Count(lines, "\n"); n != 2 {
		t.Errorf("%d lines for the two ends of a connection:\n%s", n, lines)
	}
	watch := start(t, "ss", "--watch", "--interval", "100ms", "--timeout", "350ms", "--socket", socket)
	if status := watch.wait(t); status != exitError || strings.Count(watch.stdout.String(), "State") < 2 {
		t.Errorf("watch: status %d, stdout %q", status, watch.stdout.String())
	}
	_, stats, _ := execute(t, "stats", "--socket", socket)
	if !regexp.MustCompile(`(?m)^TcpActiveOpens +1$`).MatchString(stats) {
		t.Errorf("stats:\n%s", stats)
	}
	if status, one, _ := execute(t, "stats", "--json", "--socket", socket, "tcpactiveopens"); status != exitOK ||
		one != `{"name":"TcpActiveOpens","value":1}`+"\n" {
		t.Errorf("stats of one name: status %d, %q", status, one)
	}
	if status, _, stderr := execute(t, "stats", "--socket", socket, "Nonsense"); status != exitError ||
		!strings.Contains(stderr, "no counter") {
		t.Errorf("stats of an unknown name: status %d, %q", status, stderr)
	}
}

func TestStatusAndClose(t *testing.T) {
	socket := daemontest.Start(t)
	status, text, _ := execute(t, "status", "-v", "--socket", socket)
	if status != exitOK || !strings.HasPrefix(text, "starfishd     ready, version ") || !strings.Contains(text, "connections_per_user") {
		t.Errorf("status %d\n%s", status, text)
	}
	_, line, _ := execute(t, "status", "--json", "--socket", socket)
	var record struct {
		Ready bool
		Limit map[string]uint64 `json:"limits"`
	}
	if err := json.Unmarshal([]byte(line), &record); err != nil || !record.Ready || len(record.Limit) == 0 {
		t.Errorf("%v in %s", err, line)
	}
	status, text, _ = execute(t, "version", "--socket", socket)
	if status != exitOK || !regexp.MustCompile(`^starfishctl .*\nstarfishd .*\n$`).MatchString(text) {
		t.Errorf("version: status %d, %q", status, text)
	}

	server, address := listenOn(t, socket)
	caller := dial(t, socket, address)
	server.stderr.await(t, "connection from")
	_, lines, _ := execute(t, "ss", "--json", "--socket", socket, "sport", address[strings.LastIndex(address, ":")+1:], "state", "established")
	var end struct{ ID uint64 }
	if err := json.Unmarshal([]byte(lines), &end); err != nil {
		t.Fatalf("%v in %q", err, lines)
	}
	if status, _, stderr := execute(t, "close", "--socket", socket, jsonNumber(end.ID)); status != exitOK {
		t.Errorf("close: status %d, stderr %q", status, stderr)
	}
	if status := caller.wait(t); status != exitOK {
		t.Errorf("caller: status %d, stderr %q", status, caller.stderr.String())
	}
	server.wait(t)

	kept, _ := listenOn(t, socket, "-k")
	_, lines, _ = execute(t, "ss", "-l", "--json", "--socket", socket)
	if err := json.Unmarshal([]byte(lines), &end); err != nil {
		t.Fatalf("%v in %q", err, lines)
	}
	if status, _, stderr := execute(t, "close", "--listener", "--socket", socket, jsonNumber(end.ID)); status != exitOK {
		t.Errorf("close --listener: status %d, stderr %q", status, stderr)
	}
	if status := kept.wait(t); status != exitError {
		t.Errorf("listen after its listener was closed: status %d, stderr %q", status, kept.stderr.String())
	}
}
