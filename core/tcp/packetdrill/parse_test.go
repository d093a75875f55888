package packetdrill

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
)

// parseOne parses a script of one event.
func parseOne(t *testing.T, src string) Event {
	t.Helper()
	s, err := Parse(src, nil)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	if len(s.Events) != 1 {
		t.Fatalf("%s: %d events", src, len(s.Events))
	}
	return s.Events[0]
}

func TestTimes(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		text string
		want When
	}{
		{"0", When{}},
		{"1.5", When{First: 1500 * ms, Last: 1500 * ms}},
		{"+0", When{Relative: true}},
		{"+.1", When{Relative: true, First: 100 * ms, Last: 100 * ms}},
		{"+0.000050", When{Relative: true, First: 50 * time.Microsecond, Last: 50 * time.Microsecond}},
		{"+.1~+.2", When{Relative: true, Range: true, First: 100 * ms, Last: 200 * ms}},
		{"0.1~0.25", When{Range: true, First: 100 * ms, Last: 250 * ms}},
		{"*", When{Any: true}},
	}
	for _, tt := range tests {
		if got := parseOne(t, tt.text+" > . 1:1(0) ack 1").At; got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

func TestPackets(t *testing.T) {
	tests := []struct {
		text string
		want Packet
	}{
		{"> S 0:0(0)", Packet{Out: true, Segment: &Segment{Flags: wire.SYN}}},
		{"< S. 7:7(0) ack 1 win 100", Packet{Segment: &Segment{
			Flags: wire.SYN | wire.ACK, Seq: 7, HasAck: true, Ack: 1, HasWindow: true, Window: 100,
		}}},
		{"> P.U 1:11(10) ack * urg 5 <...>", Packet{Out: true, Segment: &Segment{
			Flags: wire.PSH | wire.ACK | wire.URG, Seq: 1, Len: 10, HasAck: true, AnyAck: true, Urgent: 5, AnyOptions: true,
		}}},
		{"< [ce] FE. 1:1(0) ack 1", Packet{Mark: MarkCE, Segment: &Segment{
			Flags: wire.FIN | wire.ECE | wire.ACK, Seq: 1, HasAck: true, Ack: 1,
		}}},
		{"< .5 1:1(0) ack 1", Packet{Segment: &Segment{Flags: wire.ACK | wire.ECE | wire.AE, Seq: 1, HasAck: true, Ack: 1}}},
		{"> [ect0,ttl 64] - 1:1(0)", Packet{Out: true, Mark: MarkECT0, TTL: 64, Segment: &Segment{Seq: 1}}},
		{"< 5000 > 80 R 1(0)", Packet{SrcPort: 5000, DstPort: 80, Segment: &Segment{Flags: wire.RST, Seq: 1}}},
		{"< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]", Packet{ICMP: &ICMP{Type: 3, Code: 4, MTU: 1200, Seq: 1, Len: 1460}}},
		{"< icmpv6 packet_too_big mtu 1280 [1:2(1)]", Packet{ICMP: &ICMP{V6: true, Type: 2, MTU: 1280, Seq: 1, Len: 1}}},
	}
	for _, tt := range tests {
		if got := parseOne(t, "+0 "+tt.text).Packet; !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("%s:\n got %+v %+v\nwant %+v %+v", tt.text, got, got.Segment, tt.want, tt.want.Segment)
		}
	}
}

// TestOptionsRoundTrip: options are written as they were read.
func TestOptionsRoundTrip(t *testing.T) {
	for _, text := range []string{
		"<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>", "<nop,nop,sack 1:2 3000000000:4000000000>", "<nop,eol>",
		"<FO 0102030405060708,nop,nop>", "<FO>", "<mss 1460,nop,nop,sackOK>",
	} {
		options := parseOne(t, "+0 < S 0:0(0) "+text).Packet.Segment.Options
		if got := optionsText(options); got != text {
			t.Errorf("%s became %s", text, got)
		}
		var b []byte
		for i := range options {
			b = append(b, options[i].bytes()...)
		}
		if got := optionsText(splitOptions(b)); got != text {
			t.Errorf("%s became %s on the wire", text, got)
		}
	}
}

func TestCalls(t *testing.T) {
	c := parseOne(t, `+0...0.1 connect(3, {sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("192.0.2.1")}, ...) = -1 EINPROGRESS (Operation now in progress)`).Call
	if c.Name != "connect" || len(c.Args) != 3 || !c.Blocks || c.Returns != 100*time.Millisecond || c.Errno != "EINPROGRESS" {
		t.Errorf("%+v", c)
	}
	port, ok := c.Args[1].field("sin_port")
	if n, err := eval(&port); !ok || err != nil || n != 80 {
		t.Errorf("port %d, %v", n, err)
	}
	if n, err := eval(&c.Result); n != -1 || err != nil {
		t.Errorf("result %d, %v", n, err)
	}
	c = parseOne(t, "+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0x0 (flags)").Call
	if n, err := eval(&c.Args[2]); err != nil || n != constants["O_RDWR"]|constants["O_NONBLOCK"] {
		t.Errorf("flags %#x, %v", n, err)
	}
	c = parseOne(t, `+0 sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 100}, {..., 2*50}], msg_flags=0}, 0) = 200`).Call
	if n, err := c.messageLength(); err != nil || n != 200 {
		t.Errorf("message of %d, %v", n, err)
	}
}

// TestResultEndsBeforeNextEvent: the + of the next event is no operator.
func TestResultEndsBeforeNextEvent(t *testing.T) {
	s, err := Parse("+0 close(4) = 0\n+1 close(5) = 0\n* > . 1:1(0)\n", nil)
	if err != nil || len(s.Events) != 3 || s.Events[2].Line != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestCommentsAndHead(t *testing.T) {
	s, err := Parse("# first\n--tolerance_usecs=10000\n--mtu=1400 \n/* two\nlines */ `sysctl -q net.ipv4.tcp_sack=0\n# in it\n`\n// end\n"+
		"0 `true` // behind\n+0 %{ assert 7 // 2 == 3 # Python's\n}% # last", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Settings) != 2 || s.Settings[0] != (Setting{"tolerance_usecs", "10000", 2}) || s.Settings[1].Value != "1400" {
		t.Errorf("settings %+v", s.Settings)
	}
	if len(s.Init) != 1 || s.Init[0].Line != 5 || len(s.Events) != 2 || s.Events[1].Code == nil {
		t.Errorf("%+v", s)
	}
}

func TestConditionalBlocks(t *testing.T) {
	src := "#ifdef A\n0 close(1) = 0\n#ifdef B\n0 close(2) = 0\n#else\n0 close(3) = 0\n#endif\n#else\n0 close(4) = 0\n#endif\n" +
		"#define FD 9\n# define is a comment here\n0 close(FD) = 0\n"
	tests := []struct {
		defines map[string]string
		want    []int64
	}{
		{nil, []int64{4, 9}},
		{map[string]string{"A": ""}, []int64{1, 3, 9}},
		{map[string]string{"A": "", "B": ""}, []int64{1, 2, 9}},
		{map[string]string{"B": ""}, []int64{4, 9}},
	}
	for _, tt := range tests {
		s, err := Parse(src, tt.defines)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, e := range s.Events {
			n, _ := e.Call.number(0)
			got = append(got, n)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("with %v: %v, want %v", tt.defines, got, tt.want)
		}
		if line := s.Events[len(s.Events)-1].Line; line != 13 {
			t.Errorf("the last event is in line %d", line)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		src   string
		cause Cause
		line  int
	}{
		{"+0 > X 1:1(0)", ParseError, 1},
		{"\n+0 > . 1:5(0)", ParseError, 2},
		{"+0 > . 1:1(0) win 70000", ParseError, 1},
		{"+0 < . 1:1(0) <mss 70000>", ParseError, 1},
		{"+0 < . 1:1(0) <nop,,nop>", ParseError, 1},
		{"+0 < . 1:1(0) <md5 1>", Unsupported, 1},
		{"+0 < . 1:1(0) <sack 1:2 1:2 1:2 1:2 1:2>", ParseError, 1},
		{"+0 < udp (100)", Unsupported, 1},
		{"+0 < icmp strange [1:1(0)]", Unsupported, 1},
		{"+0 close(4 = 0", ParseError, 1},
		{"+0 `true", ParseError, 1},
		{"+0...0.1 > . 1:1(0)", ParseError, 1},
		{"close(4) = 0", ParseError, 1},
		{"+0 close(+) = 0", ParseError, 1},
		{"#ifdef A\n", ParseError, 2},
		{"+0 < . 99999999999:99999999999(0)", ParseError, 1},
	}
	for _, tt := range tests {
		_, err := Parse(tt.src, nil)
		var f *Failure
		if !errors.As(err, &f) || f.Cause != tt.cause || f.Line != tt.line {
			t.Errorf("%q: %v, want %v in line %d", tt.src, err, tt.cause, tt.line)
		}
	}
}

// FuzzParse: no text makes the parser panic or hang.
func FuzzParse(f *testing.F) {
	f.Add("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 > S 0:0(0) <mss 1460,TS val 1 ecr 0>\n")
	f.Add("`x`\n%{ assert a == 1 }%\n+0...1 poll([{fd=3, events=POLLIN}], 1, 0) = 1")
	f.Fuzz(func(_ *testing.T, src string) { _, _ = Parse(src, nil) })
}
