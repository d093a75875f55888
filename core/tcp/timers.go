package tcp

// timerID names a timer of a connection.
type timerID uint8

const (
	timerRetransmit timerID = iota // RFC 6298; a SYN's too
	timerPersist                   // zero window probes, and the override of silly window avoidance
	timerDelayedAck
	timerKeepAlive
	timerUser   // the user timeout, or the connect timeout
	timerOrphan // an orphan lingers, or waits for the peer's FIN
	timerPacing
	timerReorder // RACK's reordering window
	timerProbe   // TLP
	numTimers
)

// timerTable holds a connection's deadlines. The wheel knows only the earliest at the time it was set: a timer that
// moves further away, as the retransmission timer does with each ACK, costs no wheel operation. When the wheel gives
// the connection out too early, runTimers puts it back.
type timerTable struct {
	node     timerNode
	deadline [numTimers]Time // 0 when off
}

func (t *timerTable) on(id timerID) bool { return t.deadline[id] != 0 }

func (s *Stack) arm(c *conn, id timerID, when Time) {
	c.timers.deadline[id] = when
	if node := &c.timers.node; !node.scheduled() || when < node.deadline {
		node.owner = c
		s.wheel.schedule(node, when)
	}
}

func (c *conn) disarm(id timerID) { c.timers.deadline[id] = 0 }

func (s *Stack) disarmAll(c *conn) {
	c.timers.deadline = [numTimers]Time{}
	s.wheel.cancel(&c.timers.node)
}

// timerHandlers are called with their timer already off. Each may end the connection.
var timerHandlers = [numTimers]func(*Stack, *conn, Time){
	timerRetransmit: (*Stack).retransmissionTimeout,
	timerPersist:    (*Stack).persistTimeout,
	timerDelayedAck: (*Stack).delayedAckTimeout,
	timerKeepAlive:  (*Stack).keepAliveTimeout,
	timerUser:       (*Stack).userTimeout,
	timerOrphan:     (*Stack).orphanTimeout,
	timerPacing:     (*Stack).pacingTimeout,
	timerReorder:    (*Stack).reorderTimeout,
	timerProbe:      (*Stack).lossProbeTimeout,
}

// runTimers runs what is due of one connection, and tells the wheel of the rest.
func (s *Stack) runTimers(c *conn, now Time) {
	for id := range timerHandlers {
		if deadline := c.timers.deadline[id]; deadline != 0 && deadline <= now {
			c.timers.deadline[id] = 0
			timerHandlers[id](s, c, now)
			if c.state == StateClosed {
				return
			}
		}
	}
	earliest := Never
	for _, deadline := range c.timers.deadline {
		if deadline != 0 {
			earliest = min(earliest, deadline)
		}
	}
	if node := &c.timers.node; earliest != Never && (!node.scheduled() || node.deadline > earliest) {
		node.owner = c
		s.wheel.schedule(node, earliest)
	}
}

func (s *Stack) delayedAckTimeout(c *conn, _ Time) {
	c.ackNow = true
	s.wantTransmit(c)
}

func (s *Stack) pacingTimeout(c *conn, _ Time) { s.wantTransmit(c) }
