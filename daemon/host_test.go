package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/MUCZ/Starfish/daemon/config"
)

func TestSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := listenUnix(path, "no-such-group", 0o640)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if _, err := listenUnix(path, "", 0o640); err == nil || !strings.Contains(err.Error(), "another starfishd is running") {
		t.Errorf("a second one: %v", err)
	}
	l.SetUnlinkOnClose(false) // as if the process died
	_ = l.Close()
	l, err = listenUnix(path, "", 0o640)
	if err != nil {
		t.Fatalf("a stale socket is in the way: %v", err)
	}
	_ = l.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path, "", 0o640); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("a file: %v", err)
	}
	if _, err := listenUnix(filepath.Join(filepath.Dir(path), "missing", "s.sock"), "", 0o640); err == nil || !strings.Contains(err.Error(), "mkdir -p") {
		t.Errorf("no directory: %v", err)
	}
}

func TestGroup(t *testing.T) {
	if gid, ok := groupID("root"); !ok || gid != 0 {
		t.Errorf("group root is %d, %v", gid, ok)
	}
	if _, ok := groupID("no-such-group"); ok {
		t.Error("a group that is not there was found")
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	t.Setenv("NOTIFY_SOCKET", path)
	received := func() string {
		_ = socket.SetReadDeadline(time.Now().Add(patience))
		buffer := make([]byte, 1000)
		n, err := socket.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
	d := startDaemon(t, nil)
	if got := received(); !strings.HasPrefix(got, "READY=1\nSTATUS=memory") {
		t.Errorf("at the start: %q", got)
	}
	fresh := *d.cfg
	fresh.LogLevel = zapcore.DebugLevel
	fresh.Limits.ConnectionsPerUser = 7
	fresh.Queues = 9
	d.Reload(&fresh)
	if got := received() + received(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") || !strings.HasSuffix(got, "READY=1") {
		t.Errorf("at the reload: %q", got)
	}
	if d.level.Level() != zapcore.DebugLevel || d.registry.currentLimits().ConnectionsPerUser != 7 || d.config.Load().Queues != 1 {
		t.Error("the reload had another effect")
	}
	d.stop()
	if got := received(); got != "STOPPING=1" {
		t.Errorf("at the end: %q", got)
	}
}

func TestKernelSide(t *testing.T) {
	for _, c := range []struct {
		owned    string
		existing []string
		want     string // a list, or the error
	}{
		{"10.144.0.2/16", nil, "10.144.0.1/16"},
		{"10.144.0.1/16", nil, "10.144.0.2/16"},
		{"10.144.0.0/16", nil, "10.144.0.1/16"},
		{"10.0.0.3/31", nil, "10.0.0.2/31"},
		{"10.0.0.3/32", nil, ""},
		{"fd00::2/64", nil, "fd00::1/64"},
		{"169.254.144.2/24", []string{"169.254.144.1/24", "fd00::1/64"}, "169.254.144.1/24"},
		{"169.254.144.2/24", []string{"169.254.144.77/24"}, "169.254.144.77/24"},
		{"10.1.0.2/16", []string{"169.254.144.1/24"}, "10.1.0.1/16"},
		{"169.254.144.1/24", []string{"169.254.144.1/24"}, "the kernel's own"},
	} {
		var existing []netip.Prefix
		for _, text := range c.existing {
			existing = append(existing, netip.MustParsePrefix(text))
		}
		sides, err := kernelSide(netip.MustParsePrefix(c.owned), existing)
		var got []string
		for _, side := range sides {
			got = append(got, side.String())
		}
		if err != nil {
			got = append(got, err.Error())
		}
		if text := strings.Join(got, " "); text != c.want && (err == nil || !strings.Contains(text, c.want)) {
			t.Errorf("%s on a device with %v: %q, want %q", c.owned, c.existing, text, c.want)
		}
	}
}

func TestDefaultPrefixes(t *testing.T) {
	cfg := config.Default()
	v6 := netip.MustParsePrefix("fd73:6669:7368:144::1/64")
	if got := defaultPrefixes(cfg, []netip.Prefix{v6}, true); len(got) != 2 {
		t.Errorf("a device with both families: %v", got)
	}
	if got := defaultPrefixes(cfg, nil, true); len(got) != 1 || !got[0].Addr().Is4() {
		t.Errorf("a device without IPv6: %v", got)
	}
}

func TestTasks(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	until := func(ctx context.Context, ready func()) error {
		ready()
		<-ctx.Done()
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- runTasks(ctx, []task{{"a", until}, {"b", until}}, func() { close(ready) }) }()
	<-ready
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	broken := errors.New("broken")
	err := runTasks(context.Background(), []task{
		{"never ready", func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil }},
		{"breaks", func(context.Context, func()) error { return broken }},
	}, func() { t.Error("ready although a task never was") })
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "breaks: ") {
		t.Errorf("got %v", err)
	}
}

func TestNewFailsWithWhatCanBeDone(t *testing.T) {
	d := startDaemon(t, nil)
	if _, err := New(d.cfg, d.log, d.level); err == nil || !strings.Contains(err.Error(), "another starfishd is running") {
		t.Errorf("a second daemon: %v", err)
	}
}

func TestEndedLogIsBounded(t *testing.T) {
	l := newEndedLog(3)
	has := func(ids ...uint64) {
		t.Helper()
		if len(l.byID) != len(ids) {
			t.Errorf("%d are remembered, want %v", len(l.byID), ids)
		}
		for _, id := range ids {
			if _, ok := l.byID[id]; !ok {
				t.Errorf("%d is forgotten", id)
			}
		}
	}
	add := func(id uint64) { l.add(&connection{summary: summary{entry: entry{id: id}}}, ending{}) }
	for id := range uint64(5) {
		add(id)
	}
	has(2, 3, 4)
	l.resize(2)
	has(3, 4)
	l.resize(4)
	add(5)
	add(6)
	add(7)
	has(4, 5, 6, 7)
}
