package sim

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestHeapGivesEventsInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var h eventHeap
	var model []event
	serial := uint64(0)
	for range 5000 {
		if len(model) > 0 && rng.IntN(3) == 0 {
			first := slices.MinFunc(model, func(a, b event) int {
				if a.before(&b) {
					return -1
				}
				return 1
			})
			got := h.pop()
			if got.serial != first.serial {
				t.Fatalf("popped event %d at %d, want %d at %d", got.serial, got.at, first.serial, first.at)
			}
			model = slices.DeleteFunc(model, func(e event) bool { return e.serial == got.serial })
			continue
		}
		serial++
		e := event{at: tcp.Time(rng.IntN(50)), serial: serial}
		h.push(e)
		model = append(model, e)
	}
	if len(h) != len(model) {
		t.Fatalf("%d events are left, want %d", len(h), len(model))
	}
}
