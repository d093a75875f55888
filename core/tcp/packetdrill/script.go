package packetdrill

import (
	"time"

	"github.com/MUCZ/Starfish/core/wire"
)

// Script is a parsed script.
type Script struct {
	// Settings are the lines --name=value at its head.
	Settings []Setting
	// Init are the commands before the first event.
	Init []Command
	// Events are what happens, in order.
	Events []Event
}

// Setting is a named value.
type Setting struct {
	Name, Value string
	Line        int
}

// Command is the text between backticks.
type Command struct {
	Text string
	Line int
}

// Event is one thing that happens, or has to. Of Packet, Call, Command and Code one is set.
type Event struct {
	Line    int
	At      When
	Packet  *Packet
	Call    *Call
	Command *Command
	Code    *string
}

// When is the time of an event.
type When struct {
	Any         bool // whenever it happens
	Relative    bool // to the event before
	Range       bool // between First and Last
	First, Last time.Duration
}

// Call is a system call with what it has to return.
type Call struct {
	Name     string
	Args     []Expr
	Result   Expr
	Errno    string        // empty for none
	Blocks   bool          // it returns at Returns, not at once
	Returns  time.Duration // counts from where When does
	NoResult bool          // the script does not say what it returns
}

// Packet is a TCP segment or an ICMP message, in (from the peer) or out.
type Packet struct {
	Out              bool
	Mark             Mark
	TTL              int // 0: not said
	HasTOS           bool
	TOS              uint8 // the whole byte, as (tos …) says it
	FlowLabel        int   // of IPv6; 0: not said
	SrcPort, DstPort int   // 0: not said
	Segment          *Segment
	ICMP             *ICMP
}

// Mark is what a script says of a packet's ECN codepoint.
type Mark uint8

// The marks: a codepoint, either of ECT(0) and ECT(1), or nothing.
const (
	MarkNone Mark = iota
	MarkNotECT
	MarkECT0
	MarkECT1
	MarkECT01
	MarkCE
)

// Segment is a TCP segment as a script writes it. Sequence numbers are the script's own.
type Segment struct {
	Flags      wire.Flags
	Seq        uint32
	AnySeq     bool // ...(0)
	Len        int
	HasAck     bool
	AnyAck     bool
	Ack        uint32
	HasWindow  bool
	Window     uint16
	Urgent     uint16
	AnyOptions bool
	Options    []Option
}

// Option is one TCP option: its kind and its body without kind and length.
type Option struct {
	Kind byte
	Body []byte
	// AnyVal and AnyEcr leave a value of a timestamp open: TS val ... ecr ...
	AnyVal, AnyEcr bool
	// Symbol stands for a Fast Open cookie that the script doesn't know: the engine's own.
	Symbol string
}

// ICMP is an ICMP error about a segment.
type ICMP struct {
	V6         bool
	Type, Code uint8
	MTU        uint32
	Seq        uint32 // of the quoted segment
	Len        int    // of its payload
}
