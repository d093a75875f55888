package differential

import (
	"math/rand/v2"
	"slices"
)

// maxSteps bounds a generated sequence.
const maxSteps = 16

// openings begin sequences, so that mutation doesn't have to find the handshakes first.
var openings = []string{
	"listen; < SYN; < ACK; accept",
	"listen; < SYN; < ACK",
	"listen; < SYN",
	"connect; < SYN-ACK",
	"connect; < SYN",
	"connect; < SYN; < SYN-ACK",
	"connect",
	"listen",
	"connect; < SYN-ACK; close; < ACK; < FIN",
	"connect; < SYN-ACK; shutdown write; < FIN; < ACK",
	"connect; < SYN-ACK; close; < FIN, ACK again; < ACK",
	"listen; < SYN; < ACK; accept; < FIN; close; < ACK",
	"connect; < SYN-ACK; send 2500; < ACK; < data; receive",
}

// Generator makes sequences by mutation of those that reached something new on the engine.
type Generator struct {
	Coverage *Coverage
	rng      *rand.Rand
	runner   Runner
	corpus   []Sequence
}

// NewGenerator returns one whose sequences follow from the seed.
func NewGenerator(seed uint64) (*Generator, error) {
	g := &Generator{
		Coverage: NewCoverage(), rng: rand.New(rand.NewPCG(seed, 0)), runner: Runner{Subject: &Engine{}, Lanes: 1},
	}
	for _, text := range openings {
		s, err := ParseSequence(text)
		if err != nil {
			return nil, err
		}
		g.corpus = append(g.corpus, s)
	}
	return g, nil
}

// Next makes n sequences and returns them with their traces on the engine.
func (g *Generator) Next(n int) ([]Sequence, []Trace, error) {
	sequences, traces := make([]Sequence, 0, n), make([]Trace, 0, n)
	for range n {
		s := g.mutate(g.corpus[g.rng.IntN(len(g.corpus))])
		done, err := g.runner.Run([]Sequence{s})
		if err != nil {
			return nil, nil, err
		}
		if g.Coverage.Add(s, done[0]) {
			g.corpus = append(g.corpus, s)
		}
		sequences, traces = append(sequences, s), append(traces, done[0])
	}
	return sequences, traces, nil
}

func (g *Generator) mutate(s Sequence) Sequence {
	s = s.clone()
	if g.rng.IntN(8) == 0 {
		s.Options = !s.Options
	}
	for range 1 + g.rng.IntN(4) {
		at := g.rng.IntN(len(s.Steps) + 1)
		switch g.rng.IntN(8) {
		case 0:
			if at < len(s.Steps) && len(s.Steps) > 1 {
				s.Steps = slices.Delete(s.Steps, at, at+1)
			}
		case 1:
			if at < len(s.Steps) {
				s.Steps[at] = g.step()
			}
		case 2: // the end of another one
			other := g.corpus[g.rng.IntN(len(g.corpus))].Steps
			s.Steps = append(s.Steps[:at], other[g.rng.IntN(len(other)):]...)
		case 3, 4:
			s.Steps = slices.Insert(s.Steps, at, g.step())
		default:
			s.Steps = append(s.Steps, g.step())
		}
	}
	return tidy(s)
}

// step draws a step.
func (g *Generator) step() Step {
	if g.rng.IntN(3) == 0 {
		return Step(g.rng.IntN(int(numCalls)))
	}
	return numCalls + Step(g.rng.IntN(int(numSteps-numCalls)))
}

// tidy takes out what no implementation can be compared by: an active and a passive open of one sequence would want the
// same port, and a second open would be of another socket.
func tidy(s Sequence) Sequence {
	var opened Step
	seen := false
	kept := s.Steps[:0]
	for _, step := range s.Steps {
		if step == Connect || step == Listen {
			if seen {
				continue
			}
			opened, seen = step, true
		}
		if seen && opened == Connect && (step == Accept || step == CloseListener) {
			continue
		}
		kept = append(kept, step)
	}
	s.Steps = kept[:min(len(kept), maxSteps)]
	if len(s.Steps) == 0 {
		s.Steps = []Step{SYN}
	}
	return s
}
