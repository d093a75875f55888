// Package config reads what starfishd is told: a YAML file and the command line, which has the last word.
package config

import (
	"io/fs"
	"net/netip"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

// Where things are unless the user says otherwise.
const (
	DefaultFile   = "/etc/starfish/starfishd.yaml"
	DefaultSocket = "/run/starfish/starfishd.sock"
	DefaultTun    = "tun144"
)

// The links.
const (
	LinkTun    = "tun"    // packets cross a TUN device
	LinkMemory = "memory" // no device: the stack talks to itself
)

// Who sees whose connections in lists.
const (
	VisibleToAll   = "all"   // everybody sees everybody's
	VisibleToOwner = "owner" // users see their own, root sees all
)

// The log formats.
const (
	LogAuto    = "auto" // console on a terminal, JSON else
	LogJSON    = "json"
	LogConsole = "console"
)

// Config is the file's content. Every flag has its key here. A field with the tag `reload:"yes"` takes effect on SIGHUP.
type Config struct {
	Socket      string   `yaml:"socket"`       // control socket; the data socket is made beside it
	SocketGroup string   `yaml:"socket_group"` // group of the sockets; ignored when the host has no such group
	SocketMode  FileMode `yaml:"socket_mode"`  // permissions of the sockets

	Link    string         `yaml:"link"`
	Tun     string         `yaml:"tun"`     // name of the device
	Address []netip.Prefix `yaml:"address"` // the stack's own addresses, with the prefixes that it owns
	MTU     int            `yaml:"mtu"`     // bytes; 0 leaves the device's
	Queues  int            `yaml:"queues"`  // of the device, one shard each
	Offload tun.Mode       `yaml:"offload"`

	BufferMemory Size `yaml:"buffer_memory"` // bytes of packets and payload in all

	LogLevel  zapcore.Level `yaml:"log_level" reload:"yes"`
	LogFormat string        `yaml:"log_format"`

	StopTimeout time.Duration `yaml:"stop_timeout" reload:"yes"` // how long a stop waits for connections to finish
	Visibility  string        `yaml:"visibility" reload:"yes"`
	Limits      Limits        `yaml:"limits" reload:"yes"`
	TCP         TCP           `yaml:"tcp" reload:"yes"` // defaults of new connections
	Engine      Engine        `yaml:"engine"`
}

// Limits bound what clients can make the daemon hold. All can change while it runs; nothing is taken away from
// those who are above a new limit.
type Limits struct {
	Connections              int           `yaml:"connections" unit:"connections"`               // in all
	ConnectionsPerUser       int           `yaml:"connections_per_user" unit:"connections"`      //
	ListenersPerUser         int           `yaml:"listeners_per_user" unit:"listeners"`          //
	SessionsPerUser          int           `yaml:"sessions_per_user" unit:"sessions"`            // each takes a descriptor and about 100 KiB
	PendingAcceptsPerSession int           `yaml:"pending_accepts_per_session" unit:"calls"`     // each takes a goroutine
	PendingAttachesPerUser   int           `yaml:"pending_attaches_per_user" unit:"connections"` // data sockets that nobody has connected yet
	AttachTimeout            time.Duration `yaml:"attach_timeout" unit:"milliseconds"`           // how long a data socket waits for its client
	EndedConnections         int           `yaml:"ended_connections" unit:"connections"`         // remembered with the reason of their end, for GetConnection
}

// TCP holds the defaults of connections. A zero number or an empty text means the engine's own default.
type TCP struct {
	NoDelay           bool          `yaml:"no_delay"`
	QuickAck          bool          `yaml:"quick_ack"`
	Pacing            bool          `yaml:"pacing"` // on unless switched off; BBR paces in any case
	CongestionControl string        `yaml:"congestion_control"`
	InitialRTO        time.Duration `yaml:"initial_rto"`
	MinRTO            time.Duration `yaml:"min_rto"`
	MaxRTO            time.Duration `yaml:"max_rto"`
	RecvBuffer        Size          `yaml:"recv_buffer"` // set, buffers have this size and don't tune themselves
	SendBuffer        Size          `yaml:"send_buffer"` // likewise
	KeepAlive         time.Duration `yaml:"keep_alive"`
	KeepAliveInterval time.Duration `yaml:"keep_alive_interval"`
	KeepAliveCount    int           `yaml:"keep_alive_count"`
	UserTimeout       time.Duration `yaml:"user_timeout"`
	Linger            time.Duration `yaml:"linger"`
	ConnectTimeout    time.Duration `yaml:"connect_timeout"`
	SynRetries        int           `yaml:"syn_retries"`
	SynAckRetries     int           `yaml:"syn_ack_retries"`
	MaxSegment        int           `yaml:"max_segment"`
	TTL               int           `yaml:"ttl"`
	ECN               tcp.ECN       `yaml:"ecn"` // off, accept, on, accurate, accept-accurate or on-accurate
	FastOpen          bool          `yaml:"fast_open"`
	NoMTUProbing      bool          `yaml:"no_mtu_probing"`
	NoTimestamps      bool          `yaml:"no_timestamps"`
	NoSACK            bool          `yaml:"no_sack"`
	NoWindowScale     bool          `yaml:"no_window_scale"`
}

// Engine holds what the stack is made with and can't change later. A zero field means the engine's own default.
type Engine struct {
	FirstPort     uint16           `yaml:"first_port"` // of the ephemeral ports (RFC 6056)
	LastPort      uint16           `yaml:"last_port"`
	InitialWindow int              `yaml:"initial_window"` // segments (RFC 6928)
	DelayedAck    time.Duration    `yaml:"delayed_ack"`
	QuickAcks     int              `yaml:"quick_acks"` // first segments that are acknowledged at once; negative for none
	TimeWait      time.Duration    `yaml:"time_wait"`
	FinWait2      time.Duration    `yaml:"fin_wait_2"`
	DropFragments bool             `yaml:"drop_fragments"` // instead of putting packets together
	MaxOrphans    int              `yaml:"max_orphans"`    // connections that their users have closed and that are still on the wire
	SynCookies    tcp.SynCookies   `yaml:"syn_cookies"`    // auto, off or always
	AccECNOption  tcp.AccECNOption `yaml:"accecn_option"`  // needed, always or never: when Accurate ECN's option is sent

	// Buffers of connections that don't fix their size tune themselves between these, in bytes.
	RecvBufferInitial Size `yaml:"recv_buffer_initial"`
	RecvBufferMax     Size `yaml:"recv_buffer_max"` // it also decides the window scale
	SendBufferInitial Size `yaml:"send_buffer_initial"`
	SendBufferMax     Size `yaml:"send_buffer_max"`
	// ReceiveMemory is what all connections hold for their clients or have promised to take. Default: half of
	// buffer_memory.
	ReceiveMemory Size `yaml:"receive_memory"`
}

// Default returns the configuration of a daemon that is told nothing.
func Default() *Config {
	return &Config{
		Socket:       DefaultSocket,
		SocketGroup:  "starfish",
		SocketMode:   0o660,
		Link:         LinkTun,
		Tun:          DefaultTun,
		Queues:       1,
		BufferMemory: 1 << 30,
		LogLevel:     zapcore.InfoLevel,
		LogFormat:    LogAuto,
		StopTimeout:  10 * time.Second,
		Visibility:   VisibleToAll,
		Limits: Limits{
			Connections:              1_000_000,
			ConnectionsPerUser:       100_000,
			ListenersPerUser:         10_000,
			SessionsPerUser:          1_000,
			PendingAcceptsPerSession: 1_024,
			PendingAttachesPerUser:   10_000,
			AttachTimeout:            10 * time.Second,
			EndedConnections:         10_000,
		},
		TCP: TCP{Pacing: true},
	}
}

// Mode returns the permissions of the sockets.
func (c *Config) Mode() fs.FileMode { return fs.FileMode(c.SocketMode) }

// RecvTuning returns how receive buffers tune themselves, in the engine's form.
func (e *Engine) RecvTuning() tcp.Autotuning {
	return tcp.Autotuning{Initial: int(e.RecvBufferInitial), Max: int(e.RecvBufferMax)}
}

// SendTuning is RecvTuning of send buffers.
func (e *Engine) SendTuning() tcp.Autotuning {
	return tcp.Autotuning{Initial: int(e.SendBufferInitial), Max: int(e.SendBufferMax)}
}

// Options returns the defaults of connections in the engine's form. The configuration must be valid.
func (t *TCP) Options() tcp.Options {
	congestion, _ := congestionControl(t.CongestionControl)
	return tcp.Options{
		NoDelay:           t.NoDelay,
		QuickAck:          t.QuickAck,
		NoPacing:          !t.Pacing,
		Congestion:        congestion,
		InitialRTO:        t.InitialRTO,
		MinRTO:            t.MinRTO,
		MaxRTO:            t.MaxRTO,
		RecvBuffer:        int(t.RecvBuffer),
		SendBuffer:        int(t.SendBuffer),
		KeepAlive:         t.KeepAlive,
		KeepAliveInterval: t.KeepAliveInterval,
		KeepAliveCount:    t.KeepAliveCount,
		UserTimeout:       t.UserTimeout,
		Linger:            t.Linger,
		ConnectTimeout:    t.ConnectTimeout,
		SynRetries:        t.SynRetries,
		SynAckRetries:     t.SynAckRetries,
		MaxSegment:        t.MaxSegment,
		TTL:               uint8(t.TTL),
		ECN:               t.ECN,
		FastOpen:          t.FastOpen,
		NoMTUProbing:      t.NoMTUProbing,
		NoTimestamps:      t.NoTimestamps,
		NoSACK:            t.NoSACK,
		NoWindowScale:     t.NoWindowScale,
	}
}
