package differential

import (
	"fmt"
	"strings"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
)

// Subject is an implementation of TCP. Its timers don't run, or run later than a sequence lasts: when something is sent
// again is not compared.
type Subject interface {
	Name() string
	// Open makes lanes, each with a connection of its own. They are closed before Open is called again.
	Open(lanes []Place) ([]Lane, error)
	// Settle waits until all lanes have answered what they were given, and have their state ready.
	Settle() error
}

// Lane is where one sequence runs.
type Lane interface {
	// Call is a call of the user that doesn't block. It returns what came of it: "ok", a number of bytes, "EOF", or the
	// POSIX name of an error.
	Call(step Step) string
	// Deliver lets a packet of the peer arrive.
	Deliver(packet []byte) error
	// Answers returns the packets that were sent since it was called last.
	Answers() [][]byte
	// State is that of the connection, or LISTEN where there is none but a listener, or CLOSED.
	State() tcp.State
	// Close aborts what is open.
	Close() error
}

// Place is where a lane's two ends are.
type Place struct {
	Local, Remote tcp.Endpoint
}

// SubjectAddr is the address of every subject, in SubjectNet.
var (
	SubjectAddr = wire.Addr4([4]byte{10, 77, 0, 1})
	SubjectNet  = "10.77.0.1/16"
)

// place returns the ends of the n-th sequence. Sequences don't share tuples within a run, so that no TIME-WAIT of one
// meets another.
func place(n int) Place {
	const hosts, ports = 60_000, 50_000
	host := 256 + n%hosts
	return Place{
		Local:  tcp.Endpoint{Addr: SubjectAddr, Port: uint16(10_000 + n%ports)},
		Remote: tcp.Endpoint{Addr: wire.Addr4([4]byte{10, 77, byte(host >> 8), byte(host)}), Port: 4000},
	}
}

// Outcome is what a step came to.
type Outcome struct {
	Result  string // of a call
	Answers []answer
	State   tcp.State
}

func (o Outcome) String() string {
	var parts []string
	if o.Result != "" {
		parts = append(parts, o.Result)
	}
	for _, a := range o.Answers {
		parts = append(parts, a.String())
	}
	if len(parts) == 0 {
		parts = append(parts, "-")
	}
	return fmt.Sprintf("%s → %v", strings.Join(parts, "; "), o.State)
}

// Trace is the outcomes of a sequence's steps.
type Trace []Outcome

// Runner runs sequences on one subject.
type Runner struct {
	Subject Subject
	Lanes   int // how many run beside each other
	used    int // places
}

// Run returns the traces of all sequences.
func (r *Runner) Run(sequences []Sequence) ([]Trace, error) {
	traces := make([]Trace, 0, len(sequences))
	for len(traces) < len(sequences) {
		batch := sequences[len(traces):]
		batch = batch[:min(len(batch), r.Lanes)]
		done, err := r.runBatch(batch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Subject.Name(), err)
		}
		traces = append(traces, done...)
	}
	return traces, nil
}

func (r *Runner) runBatch(batch []Sequence) ([]Trace, error) {
	places, peers, longest := make([]Place, len(batch)), make([]*peer, len(batch)), 0
	for i, s := range batch {
		places[i] = place(r.used)
		r.used++
		peers[i] = newPeer(places[i].Local, places[i].Remote, s.Options)
		longest = max(longest, len(s.Steps))
	}
	lanes, err := r.Subject.Open(places)
	if err != nil {
		return nil, err
	}
	traces := make([]Trace, len(batch))
	for n := range longest {
		if err := r.runStep(n, batch, lanes, peers, traces); err != nil {
			return nil, err
		}
	}
	return traces, r.finish(lanes, peers)
}

// finish ends what is left of all connections, at both ends, so that nothing of them lives on beside the next ones.
func (r *Runner) finish(lanes []Lane, peers []*peer) error {
	for i, lane := range lanes {
		if err := lane.Deliver(peers[i].packet(RST)); err != nil {
			return err
		}
		if err := lane.Close(); err != nil {
			return err
		}
	}
	return r.Subject.Settle()
}

// runStep gives every lane its n-th step.
func (r *Runner) runStep(n int, batch []Sequence, lanes []Lane, peers []*peer, traces []Trace) error {
	results := make([]string, len(batch))
	for i, s := range batch {
		if n >= len(s.Steps) {
			continue
		}
		if step := s.Steps[n]; step.IsCall() {
			results[i] = lanes[i].Call(step)
		} else if err := lanes[i].Deliver(peers[i].packet(step)); err != nil {
			return err
		}
	}
	if err := r.Subject.Settle(); err != nil {
		return err
	}
	for i, s := range batch {
		if n >= len(s.Steps) {
			continue
		}
		o := Outcome{Result: results[i], State: lanes[i].State()}
		for _, packet := range lanes[i].Answers() {
			a, ok := peers[i].readAnswer(packet, s.Steps[n])
			if n := len(o.Answers); !ok || n > 0 && a == o.Answers[n-1] && a.flags.Has(wire.SYN) {
				continue // the same SYN twice is a timer's doing
			}
			o.Answers = append(o.Answers, a)
		}
		o.Answers = join(o.Answers)
		traces[i] = append(traces[i], o)
	}
	return nil
}
