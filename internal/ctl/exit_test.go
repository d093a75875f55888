package ctl

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/internal/daemontest"
)

func TestUsageErrors(t *testing.T) {
	for _, test := range []struct {
		args string
		want string
	}{
		{"nonsense", `unknown command "nonsense"`},
		{"connect", "accepts between 1 and 2 arg(s)"},
		{"connect localhost", "is not HOST:PORT"},
		{"connect --recv-buffer 4X 10.0.0.1:1", "not a size"},
		{"connect --congestion vegas 10.0.0.1:1", "reno, cubic and bbr"},
		{"connect --source here 10.0.0.1:1", "not an address"},
		{"connect --transport pigeon 10.0.0.1:1", "data-socket"},
		{"connect -4 -6 10.0.0.1:1", "none of the others can be"},
		{"connect --keepalive soon 10.0.0.1:1", "invalid duration"},
		{"listen", "accepts between 1 and 2 arg(s)"},
		{"close", "requires at least 1 arg(s)"},
		{"close seven", "is not an id"},
		{"set 7", "requires at least 2 arg(s)"},
		{"set 7 ttl=many", "not a number"},
		{"set 7 colour=blue", "unknown option"},
		{"connect -o ttl=x 10.0.0.1:1", "not a number"},
		{"ss state happy", "is not a state"},
		{"ss colour blue", "is none of state"},
		{"ss state established state syn-sent", "state is given twice"},
		{"ss dport", "a value is missing"},
		{"status now", "unknown command"},
		{"help nonsense", `there is no verb "nonsense"`},
		{"--nonsense", "unknown flag"},
	} {
		status, stdout, stderr := execute(t, strings.Fields(test.args)...)
		if status != exitUsage || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", test.args, status, stdout, stderr)
		}
	}
}

func TestNoDaemon(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s.sock")
	want := "starfishctl: cannot reach starfishd at " + socket + ": is it running? `systemctl start starfishd`\n"
	for _, args := range []string{"connect 10.0.0.1:1", "listen 80", "ss", "stats", "status", "close 1", "abort 1"} {
		status, stdout, stderr := execute(t, append(strings.Fields(args), "--socket", socket)...)
		if status != exitError || stdout != "" || stderr != want {
			t.Errorf("%s: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
	status, stdout, _ := execute(t, "version", "--socket", socket)
	if status != exitOK || !strings.HasPrefix(stdout, "starfishctl ") || !strings.Contains(stdout, "cannot reach starfishd") {
		t.Errorf("version: status %d, stdout %q", status, stdout)
	}
}

func TestNetworkErrors(t *testing.T) {
	socket := daemontest.Start(t)
	for _, test := range []struct{ args, want string }{
		{"connect " + daemontest.Host + ":1", "starfishctl: connect " + daemontest.Host + ":1: connection refused\n"},
		{"connect " + daemontest.Host + " 1", "starfishctl: connect " + daemontest.Host + ":1: connection refused\n"},
		{"connect --transport grpc " + daemontest.Host + ":1", "starfishctl: connect " + daemontest.Host + ":1: connection refused\n"},
		{"connect -6 " + daemontest.Host + ":1", "starfishctl: connect " + daemontest.Host + ":1: address " + daemontest.Host + ": no suitable address\n"},
	} {
		status, _, stderr := execute(t, append(strings.Fields(test.args), "--socket", socket)...)
		if status != exitError || stderr != test.want {
			t.Errorf("%s: status %d, stderr %q, want %q", test.args, status, stderr, test.want)
		}
	}
	for args, want := range map[string]string{
		"connect no.such.name.invalid:1":                         "connect no.such.name.invalid:1: lookup no.such.name.invalid",
		"connect --source 203.0.113.1 " + daemontest.Host + ":1": "203.0.113.1",
		"close 4711": "connection 4711",
		"abort 4711": "connection 4711",
	} {
		status, _, stderr := execute(t, append(strings.Fields(args), "--socket", socket)...)
		if status != exitError || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, stderr %q, want %q", args, status, stderr, want)
		}
	}
	status, _, stderr := execute(t, "connect", "--json", "--socket", socket, daemontest.Host+":1")
	var object struct {
		Error string
		Errno int
	}
	if err := json.Unmarshal([]byte(stderr), &object); err != nil || status != exitError || object.Errno == 0 ||
		!strings.HasSuffix(object.Error, "connection refused") {
		t.Errorf("--json: status %d, stderr %q, %v", status, stderr, err)
	}
}
