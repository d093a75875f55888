package ctl

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/internal/daemontest"
)

// listenOn starts listen with more arguments and returns its address.
func listenOn(t *testing.T, socket string, args ...string) (*run, string) {
	t.Helper()
	r := start(t, append([]string{"listen", "-v", "--socket", socket, daemontest.Host + ":0"}, args...)...)
	return r, r.stderr.await(t, "listening on ")
}

func dial(t *testing.T, socket, address string, args ...string) *run {
	t.Helper()
	return start(t, append([]string{"connect", "--socket", socket, address}, args...)...)
}

func TestConnectMeetsListen(t *testing.T) {
	socket := daemontest.Start(t)
	for _, way := range []string{"data-socket", "grpc"} {
		server, address := listenOn(t, socket, "--transport", way)
		caller := dial(t, socket, address, "--transport", way)
		caller.send(t, "question\n")
		server.stdout.await(t, "question")
		server.send(t, "answer\n")
		caller.stdout.await(t, "answer")
		caller.end() // half-close: the answer's end still comes
		server.send(t, "rest\n")
		server.end()
		if status := caller.wait(t); status != exitOK || caller.stdout.String() != "answer\nrest\n" {
			t.Errorf("%s: caller: status %d, stdout %q, stderr %q", way, status, caller.stdout.String(), caller.stderr.String())
		}
		if status := server.wait(t); status != exitOK || server.stdout.String() != "question\n" {
			t.Errorf("%s: server: status %d, stdout %q, stderr %q", way, status, server.stdout.String(), server.stderr.String())
		}
	}
}

// TestConnectWithFastOpen: connect waits for its first input, however the option is set, and loses none of it.
func TestConnectWithFastOpen(t *testing.T) {
	socket := daemontest.Start(t)
	server, address := listenOn(t, socket, "-k", "--fast-open")
	for i, flag := range []string{"--fast-open", "-o=fast_open", "-o=fast_open=true"} {
		caller := dial(t, socket, address, flag)
		caller.send(t, strings.Repeat("x", 3000)+fmt.Sprintf("line %d\n", i))
		server.stdout.await(t, fmt.Sprintf("line %d", i))
		caller.end()
		if status := caller.wait(t); status != exitOK {
			t.Errorf("%s: status %d, stderr %q", flag, status, caller.stderr.String())
		}
	}
	caller := dial(t, socket, address, "--fast-open")
	caller.end() // with nothing to send it connects all the same
	if status := caller.wait(t); status != exitOK {
		t.Errorf("without input: status %d, stderr %q", status, caller.stderr.String())
	}
	if n := strings.Count(server.stdout.String(), "x"); n != 9000 {
		t.Errorf("%d bytes of 9000 arrived", n)
	}
}

// TestEndsWithPeer holds that a silent stdin does not keep the program after the peer has closed.
func TestEndsWithPeer(t *testing.T) {
	socket := daemontest.Start(t)
	server, address := listenOn(t, socket)
	caller := dial(t, socket, address)
	server.stderr.await(t, "connection from")
	server.end()
	if status := caller.wait(t); status != exitOK {
		t.Errorf("caller: status %d, stderr %q", status, caller.stderr.String())
	}
	if status := server.wait(t); status != exitOK {
		t.Errorf("server: status %d, stderr %q", status, server.stderr.String())
	}
}

// TestStdinIsSentAfterPeersFIN holds that the peer's half-close costs nothing of what stdin has, although that comes slowly.
func TestStdinIsSentAfterPeersFIN(t *testing.T) {
	socket := daemontest.Start(t)
	server, address := listenOn(t, socket)
	server.end()
	caller := dial(t, socket, address)
	for range 4 {
		caller.send(t, strings.Repeat("x", 4999)+"\n")
		time.Sleep(3 * quietTime)
	}
	caller.end()
	if status := caller.wait(t); status != exitOK {
		t.Errorf("caller: status %d, stderr %q", status, caller.stderr.String())
	}
	if status := server.wait(t); status != exitOK || len(server.stdout.String()) != 20_000 {
		t.Errorf("server: status %d, %d bytes, stderr %q", status, len(server.stdout.String()), server.stderr.String())
	}
}

func TestListenOnce(t *testing.T) {
	socket := daemontest.Start(t)
	server, address := listenOn(t, socket)
	first := dial(t, socket, address)
	server.stderr.await(t, "connection from")
	second := dial(t, socket, address)
	if status := second.wait(t); status != exitError || !strings.Contains(second.stderr.String(), "refused") {
		t.Errorf("second: status %d, stderr %q", status, second.stderr.String())
	}
	first.end()
	server.end()
	if first.wait(t) != exitOK || server.wait(t) != exitOK {
		t.Errorf("%q, %q", first.stderr.String(), server.stderr.String())
	}
}

func TestListenKeep(t *testing.T) {
	socket := daemontest.Start(t)
	server, address := listenOn(t, socket, "-k")
	server.end()
	for _, text := range []string{"one\n", "two\n", "three\n"} {
		caller := dial(t, socket, address)
		caller.send(t, text)
		caller.end()
		if status := caller.wait(t); status != exitOK {
			t.Errorf("status %d, stderr %q", status, caller.stderr.String())
		}
	}
	server.stdout.await(t, "three")
	if got := server.stdout.String(); got != "one\ntwo\nthree\n" {
		t.Errorf("%q", got)
	}
}

func TestExec(t *testing.T) {
	socket := daemontest.Start(t)
	_, address := listenOn(t, socket, "-k", "--exec", `echo "$STARFISH_LOCAL"; tr a-z A-Z; echo end`)
	for range 2 {
		caller := dial(t, socket, address)
		caller.send(t, "shout\n")
		caller.end()
		if status := caller.wait(t); status != exitOK || caller.stdout.String() != address+"\nSHOUT\nend\n" {
			t.Errorf("status %d, stdout %q, stderr %q", status, caller.stdout.String(), caller.stderr.String())
		}
	}
}

// TestExecEndsWithConnection resets a connection under a command that would run for ever.
func TestExecEndsWithConnection(t *testing.T) {
	socket := daemontest.Start(t)
	server, address := listenOn(t, socket, "--exec", "sleep 1000 & echo started; wait")
	caller := dial(t, socket, address)
	caller.stdout.await(t, "started")
	_, table, _ := execute(t, "ss", "--json", "--socket", socket, "state", "established")
	var record struct{ ID uint64 }
	if err := json.NewDecoder(strings.NewReader(table)).Decode(&record); err != nil {
		t.Fatalf("%v in %q", err, table)
	}
	if status, _, stderr := execute(t, "abort", "--socket", socket, jsonNumber(record.ID)); status != exitOK {
		t.Fatalf("abort: status %d, stderr %q", status, stderr)
	}
	if status := server.wait(t); status != exitError {
		t.Errorf("server: status %d, stderr %q", status, server.stderr.String())
	}
	if status := caller.wait(t); status != exitError {
		t.Errorf("caller: status %d, stderr %q", status, caller.stderr.String())
	}
}

func jsonNumber(n uint64) string {
	text, _ := json.Marshal(n)
	return string(text)
}

func TestEventsAsJSON(t *testing.T) {
	socket := daemontest.Start(t)
	server := start(t, "listen", "-v", "--json", "--socket", socket, daemontest.Host+":0")
	server.stderr.await(t, `"event":"listening"`)
	var event struct {
		Event, Local string
		ID           uint64
	}
	if err := json.Unmarshal([]byte(server.stderr.String()), &event); err != nil || event.ID == 0 {
		t.Fatalf("%v in %q", err, server.stderr.String())
	}
	caller := dial(t, socket, event.Local, "--json", "-v")
	caller.stderr.await(t, `"event":"connected"`)
	server.stderr.await(t, `"event":"accepted"`)
	server.end()
	caller.end()
	if caller.wait(t) != exitOK || server.wait(t) != exitOK {
		t.Errorf("%q, %q", caller.stderr.String(), server.stderr.String())
	}
}
