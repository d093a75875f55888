package packetdrill

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestCommands(t *testing.T) {
	r := newRunner(&Options{})
	s := r.set
	text := `sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_fin_timeout=7
sysctl -q -w net.ipv4.tcp_rmem="4096 20000 $((15*1024*1024))" && sysctl starfish.quick_ack=1 # a comment
./set_sysctls.py /proc/sys/net/ipv4/tcp_ecn=0 \
   /proc/sys/net/ipv4/tcp_timestamps=0
echo 3 > /proc/sys/net/ipv4/tcp_keepalive_probes
ip route change 192.0.2.0/24 via 192.168.0.9 initcwnd 5 rto_min 5ms; ip link set dev tun0 mtu 9000
/tmp/sysctl_restore_${PPID}.sh`
	if err := r.command(&Command{Text: text}); err != nil {
		t.Fatal(err)
	}
	o, c := &s.options, &s.config
	if !o.NoSACK || !o.NoTimestamps || !o.QuickAck || o.KeepAliveCount != 3 || o.MinRTO != 5*time.Millisecond {
		t.Errorf("%+v", o)
	}
	if c.RecvBuffer != (tcp.Autotuning{Initial: 20000, Max: 15 << 20}) || c.FinWait2 != 7*time.Second || c.InitialWindow != 5 || c.MTU != 9000 {
		t.Errorf("%+v", c)
	}
}

func TestCommandsRefused(t *testing.T) {
	for _, text := range []string{
		"tc qdisc add dev tun0 root netem loss 5%", "sysctl -q net.ipv4.tcp_unknown=1", "sysctl net.ipv4.tcp_recovery=0",
		"sysctl net.ipv4.tcp_congestion_control=dctcp", "sysctl starfish.unknown=1", "sysctl net.ipv5.x=1", "reboot",
		"./other.sh", "ip addr show", "ip route change default initrwnd 5", "nstat | grep -q 3", "ss -t | wc -l", "ss -t | grep -v LISTEN",
		"ss -t | grep 3", "ip link set dev tun0 mtu", "ifconfig tun0 mtu x", "sleep x",
	} {
		r := newRunner(&Options{})
		var f *Failure
		if err := r.command(&Command{Text: text, Line: 3}); !errors.As(err, &f) || f.Line != 3 || f.Cause > Unsupported {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestDefaultsFile: the commands of a defaults file are settings; the built-in ones stand in for a file that is not there,
// and neither counts when defaults are ignored.
func TestDefaultsFile(t *testing.T) {
	file := "#!/bin/bash\nip tcp_metrics flush all > /dev/null\nsysctl -q net.ipv4.tcp_keepalive_probes=4\ntc qdisc add dev tun0 root pfifo\n"
	read := func(name string) ([]byte, error) {
		if name == "../common/defaults.sh" {
			return []byte(file), nil
		}
		return nil, os.ErrNotExist
	}
	tests := []struct {
		text          string
		opt           Options
		probes, bytes int
	}{
		{"../common/defaults.sh", Options{ReadFile: read}, 4, 4 << 20},
		{"source ../common/defaults.sh", Options{ReadFile: read}, 4, 4 << 20},
		{"./defaults.sh", Options{ReadFile: read}, 9, 262144},
		{"./defaults.sh", Options{IgnoreDefaults: true}, 9, 4 << 20},
		{"../common/defaults.sh && sysctl -q net.ipv4.tcp_keepalive_probes=5", Options{ReadFile: read, IgnoreDefaults: true}, 5, 4 << 20},
	}
	for _, tt := range tests {
		r := newRunner(&tt.opt)
		if err := r.command(&Command{Text: tt.text}); err != nil {
			t.Errorf("%s: %v", tt.text, err)
		}
		if o := &r.set.options; o.KeepAliveCount != tt.probes || o.SendBuffer != tt.bytes {
			t.Errorf("%s: %d probes, %d bytes", tt.text, o.KeepAliveCount, o.SendBuffer)
		}
	}
}

// TestSettingsAsEvents: what the whole stack is made with can change until connections would notice.
func TestSettingsAsEvents(t *testing.T) {
	head := "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 `sysctl starfish.initial_window=3`\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n"
	if err := Run(head+"+0 `sysctl net.ipv4.tcp_sack=1; sysctl starfish.initial_window=3; sleep 2`\n2 close(3) = 0", &Options{}); err != nil {
		t.Error(err)
	}
	var f *Failure
	late := "+0 `sysctl starfish.initial_window=4`\n"
	if err := Run(head+late+"+0 fcntl(3, F_GETFL) = 2", &Options{}); !errors.As(err, &f) || f.Cause != Unsupported || f.Line != 6 {
		t.Error(err)
	}
	// At the end of a script settings are put back, which nothing sees any more.
	if err := Run(head+late+"+0 close(3) = 0\n+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3", &Options{}); err != nil {
		t.Error(err)
	}
}

// TestQuestions: pipelines that count sockets in a state.
func TestQuestions(t *testing.T) {
	for text, cause := range map[string]Cause{
		"sockstat -4 -P tcp -s | grep packetdril | grep -c ESTABLISHED | grep 1": 0,
		"ss -tan | grep ESTAB":                       0,
		"netstat -n | grep -c TIME_WAIT | grep 0":    0,
		"netstat -n | grep -q LISTEN":                0,
		"sockstat -s | grep -c ESTABLISHED | grep 2": WrongState,
		"sockstat -s | grep FIN_WAIT_1":              WrongState,
	} {
		err := Run(opened+"+0 `"+text+"`", &Options{})
		var f *Failure
		if cause == 0 && err != nil || cause != 0 && (!errors.As(err, &f) || f.Cause != cause) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestStateNames(t *testing.T) {
	for name, want := range map[string]tcp.State{
		"TIME_WAIT": tcp.StateTimeWait, "TIME-WAIT": tcp.StateTimeWait, "FIN_WAIT_2": tcp.StateFinWait2, "ESTAB": tcp.StateEstablished,
		"SYN_RCVD": tcp.StateSynReceived, "CLOSE_WAIT": tcp.StateCloseWait, "LAST_ACK": tcp.StateLastAck, "CLOSED": tcp.StateClosed,
	} {
		if got, ok := stateByName(name); !ok || got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if _, ok := stateByName("packetdril"); ok {
		t.Error("packetdril is no state")
	}
}
