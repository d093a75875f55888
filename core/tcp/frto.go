package tcp

// frtoStep is how far F-RTO (RFC 5682) has come in telling whether a retransmission timeout was spurious.
type frtoStep uint8

const (
	frtoOff  frtoStep = iota
	frtoHead          // step 1: the first segment is sent again, nothing else
	frtoNew           // step 2b: new data is sent instead of more retransmissions
)

// frtoSegments is how much new data step 2b sends: "up to two new (previously unsent) segments".
const frtoSegments = 2

// onFRTOAck is steps 2 and 3 of RFC 5682 §3.1 (SACK-enhanced). It reports whether the timeout was spurious: an ACK
// delivers what was sent before the timeout and never again, although nothing of it could have arrived meanwhile but
// the original.
func (c *conn) onFRTOAck(e *ackEvent) (spurious bool) {
	r := &c.recovery
	switch {
	case r.frto == frtoOff:
		return false
	case e.original:
		return true
	case e.advanced && r.frto == frtoHead && c.snd.una.Less(r.point):
		r.frto = frtoNew
		r.frtoRoom = frtoSegments * c.mss
	case e.advanced, e.duplicate:
		r.frto = frtoOff // step 2a and 3a: "continue the conventional recovery"
	}
	return false
}
