package tcp_test

import (
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// The options: RFC 9293 §3.2, RFC 7323, RFC 2018, RFC 2883.

// allOptions switches everything on.
var allOptions = with(func(o *tcp.Options) { o.NoTimestamps, o.NoSACK, o.NoWindowScale = false, false, false })

// TestOptionsAreOffered: the SYN offers what is not switched off; RFC 7323 §2.2, §3.2 and RFC 2018 §2: a SYN,ACK only what
// the SYN had.
func TestOptionsAreOffered(t *testing.T) {
	t.Run("actively", func(t *testing.T) {
		h := newScript(t, allOptions)
		h.connect()
		h.want("S 0 <mss 1000,sackOK,ts *:0,ws 0>")
	})
	for _, c := range []struct{ in, want string }{
		{"S 0", "S. 0 ack 1 <mss 1000>"},
		{"S 0 <mss 900>", "S. 0 ack 1 <mss 1000>"},
		{"S 0 <mss 900,sackOK>", "S. 0 ack 1 <mss 1000,sackOK>"},
		{"S 0 <ws 3>", "S. 0 ack 1 <mss 1000,ws 0>"},
		{"S 0 <ts 77:0>", "S. 0 ack 1 <mss 1000,ts *:77>"},
		{"S 0 <mss 900,sackOK,ts 77:0,ws 7>", "S. 0 ack 1 <mss 1000,sackOK,ts *:77,ws 0>"},
	} {
		t.Run("passively "+c.in, func(t *testing.T) {
			h := newScript(t, allOptions)
			h.listen()
			h.in(c.in)
			h.want(c.want)
		})
	}
	t.Run("switched off", func(t *testing.T) {
		h := newScript(t)
		h.listen()
		h.in("S 0 <mss 900,sackOK,ts 77:0,ws 7>")
		h.want("S. 0 ack 1 <mss 1000>")
	})
}

// TestWindowScale: RFC 7323 §2: the window of a SYN is not scaled, every other one is.
func TestWindowScale(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.NoWindowScale, o.RecvBuffer = false, 1<<20 }))
	h.connect()
	h.want("S 0 win 65535 <mss 1000,ws 5>")
	h.in("S. 0 ack 1 win 1000 <mss 1000,ws 3>")
	h.want(". 1 ack 1 win 32768")
	if got := h.status().SendWindow; got != 1000 {
		t.Errorf("send window is %d, want the SYN's 1000 unscaled", got)
	}
	h.in(". 1 ack 1 win 1000")
	if got := h.status().SendWindow; got != 8000 {
		t.Errorf("send window is %d, want 8000", got)
	}
}

// TestTimestamps: RFC 7323 §3.2 and §4.3: every segment has them, and echoes the latest that came in order.
func TestTimestamps(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.NoTimestamps = false }))
	h.connect()
	h.want("S 0 <mss 1000,ts *:0>")
	h.advance(10 * time.Millisecond)
	h.in("S. 0 ack 1 <mss 1000,ts 500:?>")
	h.want(". 1 ack 1 <ts *:500>")
	if rtt := h.status().RTT; rtt < 9*time.Millisecond || rtt > 11*time.Millisecond {
		t.Errorf("RTT is %v, want 10ms", rtt)
	}
	if mss := h.status().MSS; mss != 988 { // MUST-16: the option's 12 bytes are off
		t.Errorf("MSS is %d, want 988", mss)
	}
	h.in("P. 1:11 ack 1 <ts 510:?>")
	h.want(". 1 ack 11 <ts *:510>")
	h.in("P. 21:31 ack 1 <ts 520:?>") // ahead of a gap: not echoed (§4.3)
	h.want(". 1 ack 11 <ts *:510>")
	h.in("P. 11:21 ack 1 <ts 515:?>")
	h.want(". 1 ack 31 <ts *:515>")
	h.in("P. 31:41 ack 1 <ts 530:?>")
	h.want(". 1 ack 41 <ts *:530>")
	h.send(1000)
	h.want(". 1:989 ack 41 <ts *:530>")
	h.want("P. 989:1001 ack 41 <ts *:530>")
	h.in("R 41")
	h.wantClosed(tcp.ErrReset)
}

// TestPAWS: RFC 7323 §5.3 R1: a segment with an older timestamp is not acceptable, unless it is a RST or the connection was idle
// for 24 days (§5.5).
func TestPAWS(t *testing.T) {
	enter := func(t *testing.T) *script {
		h := newScript(t, with(func(o *tcp.Options) { o.NoTimestamps = false }))
		h.connect()
		h.want("S 0 <mss 1000,ts *:0>")
		h.in("S. 0 ack 1 <mss 1000,ts 500:?>")
		h.want(". 1 ack 1 <ts *:500>")
		return h
	}
	t.Run("older", func(t *testing.T) {
		h := enter(t)
		h.in("P. 1:11 ack 1 <ts 499:?>")
		h.want(". 1 ack 1 <ts *:500>")
		h.wantRecv(tcp.ErrWouldBlock)
		h.in("P. 1:11 ack 1 <ts 500:?>")
		h.want(". 1 ack 11")
		h.recv(10)
	})
	t.Run("older, over the wrap", func(t *testing.T) {
		h := enter(t)
		h.in("P. 1:11 ack 1 <ts 4294967000:?>")
		h.want(". 1 ack 1 <ts *:500>")
	})
	t.Run("RST", func(t *testing.T) {
		h := enter(t)
		h.in("R. 1 ack 1 <ts 1:?>")
		h.wantClosed(tcp.ErrReset)
	})
	t.Run("after 24 days", func(t *testing.T) {
		h := enter(t)
		h.advance(25 * 24 * time.Hour)
		h.in("P. 1:11 ack 1 <ts 100:?>")
		h.want(". 1 ack 11 <ts *:100>")
	})
	t.Run("stripped: taken all the same", func(t *testing.T) {
		h := enter(t)
		h.in("P. 1:11 ack 1")
		h.want(". 1 ack 11")
	})
}

// TestSelectiveAck: RFC 2018 §4: the first block has the segment that triggered the ACK, the others the latest; RFC 2883 §4:
// a duplicate is reported first.
func TestSelectiveAck(t *testing.T) {
	h := newScript(t, with(func(o *tcp.Options) { o.NoSACK = false }))
	h.connect()
	h.want("S 0 <mss 1000,sackOK>")
	h.in("S. 0 ack 1 <mss 1000,sackOK>")
	h.want(". 1 ack 1 <>")
	for _, a := range []arrival{
		{"", ". 101:201 ack 1", ". 1 ack 1 <sack 101:201>"},
		{"", ". 301:401 ack 1", ". 1 ack 1 <sack 301:401,sack 101:201>"},
		{"", ". 501:601 ack 1", ". 1 ack 1 <sack 501:601,sack 301:401,sack 101:201>"},
		{"", ". 201:301 ack 1", ". 1 ack 1 <sack 101:401,sack 501:601>"},
		{"a duplicate, D-SACK", ". 501:601 ack 1", ". 1 ack 1 <sack 501:601,sack 501:601,sack 101:401>"},
		{"reported once", ". 701:801 ack 1", ". 1 ack 1 <sack 701:801,sack 501:601,sack 101:401>"},
		{"", ". 1:101 ack 1", ". 1 ack 401 <sack 701:801,sack 501:601>"},
		{"an old duplicate, D-SACK below the ACK", ". 1:101 ack 1", ". 1 ack 401 <sack 1:101,sack 701:801,sack 501:601>"},
		{"", ". 401:701 ack 1", ". 1 ack 801"},
	} {
		a.play(h)
	}
	h.recv(800)
}

// TestIllegalOptions: RFC 9293 §3.1 (MUST-7): an option of an illegal length is survived, an unknown one ignored (MUST-6).
func TestIllegalOptions(t *testing.T) {
	for name, options := range map[string][4]byte{
		"length 0":          {2, 0, 0, 0},
		"length 1":          {99, 1, 0, 0},
		"beyond the header": {2, 200, 1, 1},
		"unknown":           {99, 4, 1, 2},
		"cut off":           {1, 1, 1, 8},
	} {
		t.Run(name, func(t *testing.T) {
			h := newScript(t)
			h.listen()
			h.inAs("S 0 <mss 1000>", func(b []byte, transport int) {
				old := [4]byte(b[transport+20:])
				copy(b[transport+20:], options[:])
				fixChecksum(b[transport:], old, options)
			})
			h.want("S. 0 ack 1")
		})
	}
}

// fixChecksum updates a TCP checksum for four bytes that changed (RFC 1624).
func fixChecksum(segment []byte, old, changed [4]byte) {
	sum := uint32(^(uint16(segment[16])<<8 | uint16(segment[17])))
	for i := 0; i < 4; i += 2 {
		sum += uint32(^(uint16(old[i])<<8 | uint16(old[i+1])))
		sum += uint32(uint16(changed[i])<<8 | uint16(changed[i+1]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	segment[16], segment[17] = byte(^sum>>8), byte(^sum)
}

// TestBadChecksum: RFC 9293 §3.1 (MUST-3): dropped, and counted.
func TestBadChecksum(t *testing.T) {
	h := newScript(t)
	h.enter(tcp.StateEstablished)
	h.inAs("P. 1:11 ack 1", func(b []byte, _ int) { b[len(b)-1] ^= 1 })
	h.wantNothing()
	h.wantRecv(tcp.ErrWouldBlock)
	if n := h.stack.Stats().InCsumErrors; n != 1 {
		t.Errorf("%d checksum errors counted", n)
	}
}
