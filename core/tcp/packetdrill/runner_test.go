package packetdrill

import (
	"errors"
	"strings"
	"testing"
)

const opened = `0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0   bind(3, ..., ...) = 0
+0   listen(3, 1) = 0
+0   < S 0:0(0) win 32792 <mss 1000>
+0   > S. 0:0(0) ack 1 <mss 1460>
+.1  < . 1:1(0) ack 1 win 257
+0   accept(3, ..., ...) = 4
`

// TestCauses: each kind of failure is told from the others, with the line where it happens.
func TestCauses(t *testing.T) {
	tests := []struct {
		name, line string
		cause      Cause
		text       string
	}{
		{"flags", "+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1", WrongPacket, "flags: left P. 1:11(10) ack 1"},
		{"sequence", "+0 write(4, ..., 10) = 10\n+0 > P. 2:12(10) ack 1", WrongPacket, "sequence number"},
		{"length", "+0 write(4, ..., 10) = 10\n+0 > P. 1:12(11) ack 1", WrongPacket, "length"},
		{"window", "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 win 3", WrongPacket, "window"},
		{"ack", "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 2", WrongPacket, "acknowledgment"},
		{"options", "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 <nop,nop,nop,nop>", WrongPacket, "options"},
		{"mark", "+0 write(4, ..., 10) = 10\n+0 > [ect0] P. 1:11(10) ack 1", WrongPacket, "ECN"},
		{"nothing", "+0 write(4, ..., 0) = 0\n+0 > P. 1:11(10) ack 1", WrongTime, "nothing left"},
		{"early", "+0 write(4, ..., 10) = 10\n+.1 > P. 1:11(10) ack 1", WrongTime, "-100ms off"},
		{"result", "\n+0 write(4, ..., 10) = 9", WrongResult, "gives 10, want 9"},
		{"errno", "\n+0 close(7) = -1 EINVAL (x)", WrongResult, "EBADF"},
		{"late return", "+0...0.1 read(4, ..., 10) = 10\n+.3 close(4) = 0", WrongTime, "read should have returned"},
		{"never returns", "\n+0 read(4, ..., 10) = 10", WrongResult, "never returns"},
		{"option value", "\n+0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0", WrongResult, "TCP_NODELAY is 0"},
		{"assertion", "\n%{ assert tcpi_unacked == 7 }%", WrongState, "tcpi_unacked is 0"},
		{"call", "\n+0 reboot() = 0", Unsupported, "system call reboot: the runner does not know it"},
		{"option", "\n+0 setsockopt(4, SOL_TCP, TCP_MD5SIG, [1], 4) = 0", Unsupported, "TCP_MD5SIG"},
		{"flag", "\n+0 send(4, ..., 10, MSG_OOB) = 10", Unsupported, "MSG_OOB"},
		{"command", "\n+0 `reboot`", Unsupported, "command reboot"},
		{"not in the script", "\n+0 write(4, ..., 10) = 10", WrongPacket, "left, and is not in the script: P. 1:11(10)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Run(opened+tt.line, &Options{Strict: true})
			var f *Failure
			if !errors.As(err, &f) || f.Cause != tt.cause || !strings.Contains(f.Text, tt.text) {
				t.Fatalf("%v, want %v: %s", err, tt.cause, tt.text)
			}
			if f.Line != 9 && tt.name != "late return" {
				t.Errorf("in line %d", f.Line)
			}
		})
	}
}

// TestToleranceAndPush: the two ways to be less exact.
func TestToleranceAndPush(t *testing.T) {
	src := opened + "+0 write(4, ..., 10) = 10\n+.01 > . 1:11(10) ack 1"
	if err := Run(src, &Options{IgnorePush: true}); err == nil {
		t.Error("10 ms are within 4 ms")
	}
	if err := Run("--tolerance_usecs=20000\n"+src, &Options{IgnorePush: true}); err != nil {
		t.Error(err)
	}
}

// TestDefines: names of the command line, and of the script's head, stand for values.
func TestDefines(t *testing.T) {
	src := "--define=PORT=9090\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n" +
		`+0 bind(3, {sa_family=AF_INET, sin_port=htons(PORT), sin_addr=inet_addr("192.168.0.1")}, ...) = 0` + "\n+0 listen(3, N) = 0\n" +
		"+0 < 5000 > 9090 S 0:0(0) win 100 <mss 1000>\n+0 > 9090 > 5000 S. 0:0(0) ack 1 <mss 1460>\n"
	if err := Run(src, &Options{Defines: map[string]string{"N": "1"}, Strict: true}); err != nil {
		t.Error(err)
	}
}

// TestTimestampsTick: the values of timestamps are compared when the script says how long a tick is.
func TestTimestampsTick(t *testing.T) {
	src := func(second string) string {
		return "--tcp_ts_tick_usecs=1000\n" + `0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 3
+0 connect(3, ..., ...) = -1 EINPROGRESS (x)
+0 > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>
+.1 < S. 0:0(0) ack 1 win 100 <mss 1000,nop,nop,TS val 7 ecr 100>
+0 > . 1:1(0) ack 1 <nop,nop,TS val ` + second + " ecr 7>\n"
	}
	if err := Run(src("200"), &Options{}); err != nil {
		t.Error(err)
	}
	if err := Run(src("300"), &Options{}); err == nil {
		t.Error("100 ms too many were not seen")
	}
}

func TestSummary(t *testing.T) {
	s := NewSummary()
	s.Add(nil)
	s.Add(failf(Unsupported, 1, "x"))
	s.Add(failf(Unsupported, 2, "x"))
	s.Add(failf(WrongTime, 2, "y"))
	s.Add(failf(WrongPacket, 2, "window: left . 1:1(0) win 3, want . 1:1(0) win 4"))
	s.Add(errors.New("no such file"))
	want := "6 scripts: 1 passed, 2 unsupported, 1 wrong packet, 1 wrong time, 1 not readable\n" +
		"     2 × unsupported: x\n     1 × wrong packet: window\n"
	if got := s.String(); got != want || s.Failed() != 5 {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzRun: no script makes the runner or the engine panic or hang.
func FuzzRun(f *testing.F) {
	f.Add(opened + "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n+.1 < F. 1:1(0) ack 11 win 100\n")
	f.Add(opened + "+0 poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 10) = 0\n+0 < icmp unreachable frag_needed mtu 700 [1:1(0)]\n")
	f.Add(opened + "+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0\n+0 close(4) = 0\n+0 > R. 1:1(0) ack 1")
	f.Fuzz(func(_ *testing.T, src string) { _ = Run(src, &Options{}) })
}
