package tcp

import "testing"

// TestLegalTransitions walks RFC 9293 §3.3.2, figure 5.
func TestLegalTransitions(t *testing.T) {
	want := map[State][]State{
		// A passive open begins where its compact record ends: in ESTABLISHED.
		StateClosed:      {StateSynSent, StateEstablished},
		StateListen:      nil,
		StateSynSent:     {StateClosed, StateSynReceived, StateEstablished},
		StateSynReceived: {StateClosed, StateEstablished},
		StateEstablished: {StateClosed, StateFinWait1, StateCloseWait},
		StateFinWait1:    {StateClosed, StateFinWait2, StateClosing, StateTimeWait},
		StateFinWait2:    {StateClosed, StateTimeWait},
		StateCloseWait:   {StateClosed, StateLastAck},
		StateClosing:     {StateClosed, StateTimeWait},
		StateLastAck:     {StateClosed},
		StateTimeWait:    {StateClosed},
	}
	for from := range numStates {
		for to := range numStates {
			legal := false
			for _, s := range want[from] {
				legal = legal || s == to
			}
			if got := transition(from, to); got != legal {
				t.Errorf("%v to %v: %v, want %v", from, to, got, legal)
			}
		}
	}
}

// transition reports whether setState accepts it.
func transition(from, to State) (legal bool) {
	defer func() {
		if recover() != nil {
			legal = false
		}
	}()
	c := conn{state: from}
	c.setState(to)
	return c.state == to
}

func TestStateNames(t *testing.T) {
	seen := map[string]bool{}
	for s := range numStates {
		if name := s.String(); name == "" || seen[name] {
			t.Errorf("state %d is called %q", s, name)
		}
		seen[s.String()] = true
	}
	if got := State(200).String(); got != "State(200)" {
		t.Errorf("state 200 is called %q", got)
	}
}

func TestStateSets(t *testing.T) {
	for _, c := range []struct {
		name string
		set  stateSet
		want map[State]bool
	}{
		{"synchronized", synchronized, map[State]bool{
			StateEstablished: true, StateFinWait1: true, StateFinWait2: true, StateCloseWait: true, StateClosing: true,
			StateLastAck: true, StateTimeWait: true,
		}},
		{"may send data", maySendData, map[State]bool{StateEstablished: true, StateCloseWait: true}},
		{"receives data", receivesData, map[State]bool{StateEstablished: true, StateFinWait1: true, StateFinWait2: true}},
		{"FIN queued", finQueued, map[State]bool{
			StateFinWait1: true, StateFinWait2: true, StateClosing: true, StateLastAck: true, StateTimeWait: true,
		}},
	} {
		for s := range numStates {
			if c.set.has(s) != c.want[s] {
				t.Errorf("%s has %v: %v", c.name, s, c.set.has(s))
			}
		}
	}
}
