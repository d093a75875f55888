package tcp

// EventFlags says what happened to a connection since its last event.
type EventFlags uint8

// The events.
const (
	// EventEstablished: an active open succeeded.
	EventEstablished EventFlags = 1 << iota
	// EventReadable: Receive has bytes, or the end of the stream.
	EventReadable
	// EventWritable: Send takes bytes again after it took less than it was given.
	EventWritable
	// EventAccepted: a connection waits at the listener's Accept.
	EventAccepted
	// EventClosed: the connection has ended; Status tells why. Its queue may still hold bytes to receive.
	EventClosed
	// EventSent: the user's data and FIN are all acknowledged.
	EventSent
	// EventUrgent: the peer has marked data as urgent; it comes in line (RFC 9293 MUST-32).
	EventUrgent
)

// Event tells the user of one connection or listener what happened. Events of one connection that were not yet taken
// are joined into one, so that their number is bounded by that of connections.
type Event struct {
	Conn     ConnID     // zero for a listener's event
	Listener ListenerID // with EventAccepted
	Flags    EventFlags
}
