package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"github.com/MUCZ/Starfish/test/relay"
)

// observation is what one run of flows over a path has shown.
type observation struct {
	goodput []float64 // bits per second of each flow
	sent    float64   // segments of all flows, retransmissions included
	again   float64   // of these, retransmissions
	timeout float64   // timeouts
	relay   relay.Stats
}

func (o *observation) addSender(figures map[string]float64) {
	o.sent += figures[figureSent]
	o.again += figures[figureRetransmitted]
	o.timeout += figures[figureTimeouts]
}

func (o *observation) addPath(s *relay.Stats) { o.relay = *s }

// goodputResult is one congestion control of one sender on one path. Rates are in Mbit/s, the others per cent, in each run.
type goodputResult struct {
	Path          string    `json:"path"`
	Congestion    string    `json:"congestion"`
	Sender        string    `json:"sender"`
	Runs          []float64 `json:"runs"`
	Median        float64   `json:"median"`
	Ratio         float64   `json:"ratio,omitempty"` // to Linux: the median of those within each run
	Retransmitted []float64 `json:"retransmitted"`   // of what was sent
	Dropped       []float64 `json:"dropped"`         // by the path, of what came to it
	Timeouts      []float64 `json:"timeouts"`
	Late          []float64 `json:"late"` // handed over by the relay more than a millisecond after their time
}

// sharedResult is two flows that shared a path: per cent of its rate, and Jain's index, in each run.
type sharedResult struct {
	Flows  string    `json:"flows"`
	First  []float64 `json:"first"`
	Second []float64 `json:"second"`
	Jain   []float64 `json:"jain"`
	Late   []float64 `json:"late"`
}

// goodputDocument is what goodput.json holds.
type goodputDocument struct {
	Machine       machine          `json:"machine"`
	Runs          int              `json:"runs"`
	Seconds       float64          `json:"seconds"`
	SharedSeconds float64          `json:"sharedSeconds"`
	SharedPath    string           `json:"sharedPath"`
	Load          []float64        `json:"load"` // of the machine, the average over a minute, as each flow ended
	Alone         []*goodputResult `json:"alone"`
	Shared        []*sharedResult  `json:"shared"`

	settings *goodputSettings
}

func newGoodputDocument(s *goodputSettings) *goodputDocument {
	d := &goodputDocument{
		Machine: describeMachine(), Runs: s.runs, Seconds: s.duration.Seconds(), SharedSeconds: s.shared.Seconds(),
		SharedPath: sharedPath.String(), settings: s,
	}
	for i := range s.paths {
		for _, cc := range s.congestion {
			for _, from := range []sender{starfish, linux} {
				d.Alone = append(d.Alone, &goodputResult{Path: s.paths[i].String(), Congestion: cc, Sender: from.title})
			}
		}
	}
	for i := range s.pairs {
		d.Shared = append(d.Shared, &sharedResult{Flows: s.pairs[i].String()})
	}
	return d
}

func (d *goodputDocument) find(path, congestion, sender string) *goodputResult {
	for _, r := range d.Alone {
		if r.Path == path && r.Congestion == congestion && r.Sender == sender {
			return r
		}
	}
	return nil
}

func (d *goodputDocument) addAlone(path int, congestion string, from sender, o *observation) {
	r := d.find(d.settings.paths[path].String(), congestion, from.title)
	r.Runs = append(r.Runs, o.goodput[0]/mbit)
	r.Retransmitted = append(r.Retransmitted, percent(o.again, o.sent))
	r.Dropped = append(r.Dropped, percent(float64(o.relay.Lost+o.relay.QueueDrops), float64(o.relay.Sent)))
	r.Timeouts = append(r.Timeouts, o.timeout)
	r.Late = append(r.Late, lateness(o))
	d.noteLoad()
}

func (d *goodputDocument) addTogether(pair int, o *observation) {
	r := d.Shared[pair]
	a, b := o.goodput[0], o.goodput[1]
	rate := float64(sharedPath.link.Rate)
	r.First, r.Second = append(r.First, percent(a, rate)), append(r.Second, percent(b, rate))
	r.Jain = append(r.Jain, jain(a, b))
	r.Late = append(r.Late, lateness(o))
	d.noteLoad()
}

// jain is Jain's index of fairness: 1 when both have the same, 1/2 when one has everything.
func jain(a, b float64) float64 {
	if a == 0 && b == 0 {
		return 0
	}
	return (a + b) * (a + b) / (2 * (a*a + b*b))
}

func lateness(o *observation) float64 {
	return percent(float64(o.relay.Late), float64(o.relay.Delivered))
}

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

// noteLoad notes how busy the machine is, where it tells.
func (d *goodputDocument) noteLoad() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(text), " ")
	if load, err := strconv.ParseFloat(first, 64); err == nil {
		d.Load = append(d.Load, load)
	}
}

// evaluate fills in the medians and ratios.
func (d *goodputDocument) evaluate() {
	for _, r := range d.Alone {
		r.Median = median(r.Runs)
		if base := d.find(r.Path, r.Congestion, linux.title); base != r {
			r.Ratio = pairedRatio(r.Runs, base.Runs)
		}
	}
}

func (d *goodputDocument) write(path string) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
