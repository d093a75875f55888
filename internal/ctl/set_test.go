package ctl

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/internal/daemontest"
)

// TestSet changes options of somebody's connection while it lives, and opens one with options of every kind.
func TestSet(t *testing.T) {
	socket := daemontest.Start(t)
	server, address := listenOn(t, socket, "-o", "ttl=9", "-o", "quick_ack")
	caller := dial(t, socket, address, "-o", "no_timestamps", "-o", "syn_retries=3", "--option", "min_rto=30ms")
	server.stderr.await(t, "connection from")
	record := func() (r struct {
		ID         uint64
		SendBuffer int `json:"send_buffer"`
		Timestamps bool
	},
	) {
		t.Helper()
		port := address[strings.LastIndex(address, ":")+1:]
		_, line, _ := execute(t, "ss", "--json", "--socket", socket, "dport", port, "state", "established")
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		return r
	}
	before := record()
	if before.Timestamps {
		t.Error("opened with timestamps")
	}
	id := jsonNumber(before.ID)
	status, stdout, stderr := execute(t, "set", "--socket", socket, id, "send_buffer=96K", "no_delay=false", "user_timeout=30s")
	if status != exitOK {
		t.Errorf("set: status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	if got := record().SendBuffer; got != 96<<10 {
		t.Errorf("a send buffer of %d bytes, want %d", got, 96<<10)
	}
	status, _, stderr = execute(t, "set", "--socket", socket, id, "no_sack")
	if status != exitError || !strings.Contains(stderr, "no_sack") {
		t.Errorf("what only matters while opening: status %d, stderr %q", status, stderr)
	}
	caller.end()
	server.end()
	if status := caller.wait(t); status != exitOK {
		t.Errorf("caller: status %d, stderr %q", status, caller.stderr.String())
	}
	server.wait(t)
}
