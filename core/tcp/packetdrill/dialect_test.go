package packetdrill

import (
	"errors"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestDialectOf(t *testing.T) {
	for src, want := range map[string]Dialect{
		"0 `sysctl -w net.inet.tcp.sack.enable=1`":                         DialectFreeBSD,
		"+0 `kldload -n tcp_rack`":                                         DialectFreeBSD,
		"+0 > S 0:0(0) <mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 0>":      DialectFreeBSD,
		"+0 >[noecn] SEW 0:0(0) win 65535 <mss 1460, nop,wscale 6,sackOK>": DialectFreeBSD,
		"`./defaults.sh`":                                             DialectLinux,
		"`sysctl -q net.ipv4.tcp_sack=0`":                             DialectLinux,
		"+0 < S 0:0(0) <mss 1460,nop,wscale 6,sackOK>":                DialectOwn, // the peer's
		"+0 > S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>": DialectOwn,
	} {
		if got := dialectOf(src); got != want {
			t.Errorf("%s: %v, want %v", src, got, want)
		}
	}
	if _, err := ParseDialect("freebsd"); err != nil {
		t.Error(err)
	}
}

// TestDialects: what the same script has to say on each system.
func TestDialects(t *testing.T) {
	active := `--dialect=` + "%s\n" + `0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
+0 connect(3, ..., ...) = -1 EINPROGRESS (x)
`
	tests := []struct{ name, dialect, rest string }{
		{"options in any order", "freebsd", "+0 > S 0:0(0) <mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 0>"},
		{"options as written", "linux", "+0 > S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>"},
		{"whole segments", "freebsd", `+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65536], [4]) = 0
+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 100 <mss 1460>
+0 > . 1:1(0) ack 1
+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [65700], [4]) = 0`},
		{"twice", "linux", `+0 > S 0:0(0) <...>
+0 setsockopt(3, SOL_SOCKET, SO_SNDBUF, [5000], 4) = 0
+0 getsockopt(3, SOL_SOCKET, SO_SNDBUF, [10000], [4]) = 0`},
		{"MSS with options", "freebsd", `+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 100 <mss 1100,TS val 1 ecr 1>
+0 > . 1:1(0) ack 1 <...>
+0 getsockopt(3, SOL_TCP, TCP_MAXSEG, [1100], [4]) = 0
%{ assert tcpi_snd_mss == 1100 }%`},
		{"MSS without options", "linux", `+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 100 <mss 1100,TS val 1 ecr 1>
+0 > . 1:1(0) ack 1 <...>
+0 getsockopt(3, SOL_TCP, TCP_MAXSEG, [1088], [4]) = 0
%{ assert tcpi_snd_mss == 1088 }%`},
		{"PSH", "linux", `+0 > S 0:0(0) <...>
+.1 < S. 0:0(0) ack 1 win 10000 <mss 1000>
+0 > . 1:1(0) ack 1
+0 write(3, ..., 10) = 10
+0 > . 1:11(10) ack 1`},
	}
	for _, tt := range tests {
		for _, d := range []string{"starfish", "linux", "freebsd"} {
			err := Run("--dialect="+d+active[len("--dialect=%s"):]+tt.rest+"\n", &Options{})
			if (err == nil) != (d == tt.dialect) && (tt.dialect != "linux" || d != "starfish" || tt.name == "twice" || tt.name == "PSH") {
				t.Errorf("%s on %s: %v", tt.name, d, err)
			}
		}
	}
}

func TestWindowLags(t *testing.T) {
	s := newSettings(&Options{})
	st := &tcp.Status{MSS: 1000, RecvWScale: 2}
	if s.windowLags(500, 499, st) {
		t.Error("our own windows are compared")
	}
	s.dialect = DialectFreeBSD
	for _, tt := range []struct {
		want, got uint16
		ok        bool
	}{{500, 499, true}, {500, 251, true}, {500, 250, false}, {500, 501, false}, {100, 0, false}} {
		if got := s.windowLags(tt.want, tt.got, st); got != tt.ok {
			t.Errorf("%d for %d: %v", tt.got, tt.want, got)
		}
	}
}

// TestRefusals: what has no meaning for the engine is refused by name, with a reason.
func TestRefusals(t *testing.T) {
	for text, reason := range map[string]string{
		"+0 < udp (100)": "the engine is TCP",
		"+0 < ipv4 1.1.1.1 > 2.2.2.2: . 1:1(0) ack 1":                                         "TCP over IP only",
		"+0 < . 1:1(0) ack 1 <mp_capable 1>":                                                  "Multipath",
		"0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 9":                                          "the engine is TCP",
		"0 socket(..., SOCK_STREAM, IPPROTO_MPTCP) = 9":                                       "IPPROTO_MPTCP",
		"+0 setsockopt(4, SOL_TCP, TCP_MD5SIG, [1], 4) = 0":                                   "signs no segments",
		"+0 send(4, ..., 10, MSG_EOR) = 10":                                                   "no boundaries of records",
		"+0 open(\"/tmp/x\", O_RDWR) = 9":                                                     "files that are written",
		"+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_rcv_rtt=0}, ...) = 0":                      "tcpi_rcv_rtt",
		"+0 sendmsg(4, {msg_iov(1)=[{..., 1}], msg_control=[{cmsg_type=SCM_X}]}, 0) = 1":      "SCM_X",
		"+0 recvmsg(4, {msg_iov(1)=[{..., 1}], msg_control=[{cmsg_type=IP_RECVERR}]}, 0) = 1": "IP_RECVERR",
	} {
		var f *Failure
		if err := Run(opened+text, &Options{}); !errors.As(err, &f) || f.Cause != Unsupported {
			t.Errorf("%s: %v", text, err)
		} else if !strings.Contains(f.Text, reason) {
			t.Errorf("%s: %q does not say %q", text, f.Text, reason)
		}
	}
}
