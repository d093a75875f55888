package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

const everything = `
socket: /tmp/s.sock
socket_group: users
socket_mode: 0666
link: memory
tun: tun7
address: [10.144.0.2/16, "fd00:144::2/64"]
mtu: 9000
queues: 2
offload: off
buffer_memory: 256MiB
log_level: debug
log_format: json
stop_timeout: 3s
visibility: owner
limits:
  connections: 10
  connections_per_user: 9
  listeners_per_user: 8
  sessions_per_user: 7
  pending_accepts_per_session: 6
  pending_attaches_per_user: 5
  attach_timeout: 4s
  ended_connections: 3
tcp:
  no_delay: true
  congestion_control: reno
  initial_rto: 300ms
  recv_buffer: 64K
  keep_alive: 1m
  pacing: false
  ttl: 32
  ecn: on
engine:
  first_port: 1024
  last_port: 2048
  time_wait: 1s
  syn_cookies: always
  accecn_option: never
  recv_buffer_initial: 64K
  recv_buffer_max: 8M
  send_buffer_max: 4M
  receive_memory: 128M
`

func TestParseEverything(t *testing.T) {
	c := Default()
	if err := Parse([]byte(everything), c); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Socket: "/tmp/s.sock", SocketGroup: "users", SocketMode: 0o666, Link: LinkMemory, Tun: "tun7",
		Address: []netip.Prefix{netip.MustParsePrefix("10.144.0.2/16"), netip.MustParsePrefix("fd00:144::2/64")},
		MTU:     9000, Queues: 2, Offload: tun.Off, BufferMemory: 256 << 20, LogLevel: zapcore.DebugLevel, LogFormat: LogJSON,
		StopTimeout: 3 * time.Second, Visibility: VisibleToOwner,
		Limits: Limits{10, 9, 8, 7, 6, 5, 4 * time.Second, 3},
		TCP: TCP{
			NoDelay: true, CongestionControl: "reno", InitialRTO: 300 * time.Millisecond, RecvBuffer: 64 << 10,
			KeepAlive: time.Minute, TTL: 32, ECN: tcp.ECNOn,
		},
		Engine: Engine{
			FirstPort: 1024, LastPort: 2048, TimeWait: time.Second, SynCookies: tcp.SynCookiesAlways, AccECNOption: tcp.AccECNOptionNever,
			RecvBufferInitial: 64 << 10, RecvBufferMax: 8 << 20, SendBufferMax: 4 << 20, ReceiveMemory: 128 << 20,
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
	options := c.TCP.Options()
	if options.Congestion != tcp.CongestionReno || options.RecvBuffer != 65536 || !options.NoDelay || options.TTL != 32 || !options.NoPacing ||
		options.ECN != tcp.ECNOn {
		t.Errorf("options %+v", options)
	}
	if got := c.DataSocket(); got != "/tmp/s.data.sock" {
		t.Errorf("data socket %s", got)
	}
}

// A file that says nothing changes nothing.
func TestParseNothing(t *testing.T) {
	for _, text := range []string{"", "\n", "# socket: /a\n", "---\n", "---\n# socket: /a\n"} {
		c := Default()
		if err := Parse([]byte(text), c); err != nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q: %v, %+v", text, err, c)
		}
	}
}

// A section or a key without a value is one whose lines are commented out.
func TestParseEmptySections(t *testing.T) {
	for _, text := range []string{
		"limits:\n", "limits:\n  # connections: 5\ntcp:\n", "limits: ~\nengine: null\n", "limits:\n  connections:\n",
		"socket:\n", "log_level:\n", "queues:\nlimits:\n  attach_timeout:\n", "buffer_memory:\nsocket_mode:\n", "limits: {}\n",
	} {
		c := Default()
		if err := Parse([]byte(text), c); err != nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("%q: %v, %+v", text, err, c)
		}
	}
	c := Default()
	err := Parse([]byte("limits:\n  connections: 5\n  sessions_per_user:\ntun:\nqueues: 3\n"), c)
	want := Default()
	want.Limits.Connections, want.Queues = 5, 3
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("beside values: %v, %+v", err, c)
	}
}

func TestParseErrorsShowTheLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"socket: /a\nsokcet: /b\n", "[2:1]"},
		{"limits:\n  connections: many\n", "[2:16]"},
		{"limits:\n  conns: 1\n", "[2:3]"},
		{"tcp:\nlimits:\n  conns:\n", "[3:3]"},
		{"tcp:\nlimts:\n", "[2:1]"},
		{"limits:\n#  connections: 1\nqueues: many\n", "[3:9]"},
		{"address: [10.0.0.300/8]\n", "10.0.0.300/8"},
		{"stop_timeout: soon\n", "soon"},
		{"buffer_memory: lots\n", "lots"},
		{"socket_mode: 0999\n", "0999"},
		{"offload: maybe\n", "maybe"},
		{"log_level: loud\n", "loud"},
		{"link: [\n", "[1:"},
	} {
		err := Parse([]byte(c.text), Default())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v does not show %s", c.text, err, c.want)
		}
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"socket: ''", "socket"},
		{"socket: /" + strings.Repeat("x", 120), "at most 107 bytes"},
		{"link: wire", "link"},
		{"tun: this-name-is-too-long", "tun"},
		{"queues: 0", "queues"},
		{"mtu: 100", "mtu"},
		{"mtu: 1000\naddress: ['fd00::1/64']", "1280"},
		{"address: [127.0.0.1/8]", "127.0.0.1/8"},
		{"address: [224.0.0.1/8]", "224.0.0.1/8"},
		{"address: [10.0.0.1/8, 10.1.0.1/16]", "overlap"},
		{"log_level: fatal", "log_level"},
		{"log_format: xml", "log_format"},
		{"visibility: none", "visibility"},
		{"stop_timeout: -1s", "stop_timeout"},
		{"buffer_memory: 1M", "buffer_memory"},
		{"limits: {connections: -1}", "connections"},
		{"tcp: {congestion_control: vegas}", "congestion_control"},
		{"tcp: {initial_rto: 1h}", "initial RTO"},
		{"tcp: {ttl: 300}", "ttl"},
		{"engine: {first_port: 5, last_port: 4}", "first_port"},
		{"engine: {recv_buffer_initial: 2M, recv_buffer_max: 1M}", "recv_buffer_initial"},
		{"engine: {send_buffer_max: 2G}", "send_buffer_max"},
		{"engine: {receive_memory: 1T}", "receive_memory"},
	} {
		config := Default()
		if err := Parse([]byte(c.text), config); err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v does not name %s", c.text, err, c.want)
		}
	}
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for device, want := range map[string][2]string{
		"tun144": {"169.254.144.2/24", "fd73:6669:7368:144::2/64"},
		"tun7":   {"169.254.7.2/24", "fd73:6669:7368:7::2/64"},
		"tun0":   {"169.254.0.2/24", "fd73:6669:7368::2/64"},
		"tun999": {"169.254.144.2/24", "fd73:6669:7368:144::2/64"},
		"vpn":    {"169.254.144.2/24", "fd73:6669:7368:144::2/64"},
	} {
		if v4, v6 := DefaultAddresses(device); v4.String() != want[0] || v6.String() != want[1] {
			t.Errorf("default addresses of %s: %v, %v", device, v4, v6)
		}
	}
	if got := c.DataSocket(); got != "/run/starfish/starfishd.data.sock" {
		t.Errorf("default data socket %s", got)
	}
}

func load(t *testing.T, text string, arguments ...string) (*Config, error) {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags := Register(set)
	if text != "" {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "--config", path)
	}
	if err := set.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return flags.Load()
}

func TestFlagsOverrideTheFile(t *testing.T) {
	c, err := load(t, everything, "--socket", "/x.sock", "--address", "192.168.1.2/24", "--address", "fd01::2/64", "--offload", "on",
		"--log-level", "warn", "--queues", "3", "--mtu", "1400", "--tun", "tun9")
	if err != nil {
		t.Fatal(err)
	}
	if c.Socket != "/x.sock" || len(c.Address) != 2 || c.Address[1].String() != "fd01::2/64" || c.Offload != tun.On ||
		c.LogLevel != zapcore.WarnLevel || c.Queues != 3 || c.MTU != 1400 || c.Tun != "tun9" || c.Link != LinkMemory {
		t.Errorf("got %+v", c)
	}
}

func TestFlagErrorsNameTheFlag(t *testing.T) {
	for _, arguments := range [][]string{{"--address", "10.0.0.1"}, {"--offload", "x"}, {"--log-level", "x"}} {
		if _, err := load(t, "", arguments...); err == nil || !strings.Contains(err.Error(), arguments[0]) {
			t.Errorf("%v: error %v", arguments, err)
		}
	}
	if _, err := load(t, "", "--config", "/nonexistent/starfishd.yaml"); err == nil {
		t.Error("a named file that is missing is no error")
	}
}

func TestReload(t *testing.T) {
	old, fresh := Default(), Default()
	fresh.LogLevel = zapcore.DebugLevel
	fresh.Limits.Connections = 5
	fresh.TCP.NoDelay = true
	fresh.Tun = "tun5"
	fresh.Queues = 4
	merged, changed, restart := Reload(old, fresh)
	if !slices.Equal(changed, []string{"log_level", "limits", "tcp"}) || !slices.Equal(restart, []string{"tun", "queues"}) {
		t.Errorf("changed %v, restart %v", changed, restart)
	}
	if merged.Tun != DefaultTun || merged.Limits.Connections != 5 || !merged.TCP.NoDelay || old.TCP.NoDelay {
		t.Errorf("merged %+v", merged)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "65536": 65536, "64K": 65536, "64k": 65536, "4MiB": 4 << 20, "4MB": 4 << 20, "1G": 1 << 30} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "K", "-1", "1.5M", "99999999999G", "1X"} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q gives %v", text, got)
		}
	}
	for n, want := range map[Size]string{0: "0", 1000: "1000", 65536: "64KiB", 1 << 30: "1GiB"} {
		if n.String() != want {
			t.Errorf("%d prints as %s", int64(n), n)
		}
	}
}

func TestLimitsListHasUnits(t *testing.T) {
	for _, limit := range Default().Limits.List() {
		if limit.Name == "" || limit.Unit == "" || limit.Value <= 0 {
			t.Errorf("limit %+v", limit)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Fuzz(func(_ *testing.T, text []byte) {
		c := Default()
		if Parse(text, c) == nil {
			_ = c.Validate()
		}
	})
}
