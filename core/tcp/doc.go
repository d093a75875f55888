// Package tcp is Starfish's TCP engine: RFC 9293 without I/O.
//
// A Stack holds the connections of one shard. It is handed packets and the time, and asked for packets to send, the
// next deadline and events:
//
//	s.HandlePacket(now, packet)      // a packet came in
//	s.HandleTimeout(now)             // PollTimeout's deadline has passed
//	for s.PollTransmit(now, &t) {…}  // send t
//	for s.PollEvent(&e) {…}          // tell the user
//	deadline, ok := s.PollTimeout()  // when to call HandleTimeout
//
// There is no clock, goroutine, lock, logger or global randomness in here: the same calls with the same arguments give
// the same answers, so that a whole network runs in a simulator faster than time. One goroutine owns a Stack.
//
// Payload is held by reference (package zbuf) from the device to the user's edge and back. Nothing is allocated per
// segment in the steady state.
//
// Sequence variables carry RFC 9293's names: snd.UNA is snd.una, RCV.NXT is rcv.nxt.
package tcp
