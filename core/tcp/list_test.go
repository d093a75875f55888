package tcp

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestListAgainstSlice(t *testing.T) {
	type item struct {
		link link[item]
		id   int
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var l list[item]
	var model []*item
	if l.front() != nil {
		t.Fatal("a new list has a front")
	}
	for i := range 2000 {
		switch n := rng.IntN(10); {
		case n < 5:
			it := &item{id: i}
			l.push(&it.link, it)
			model = append(model, it)
		case len(model) > 0 && n < 8:
			at := rng.IntN(len(model))
			it := model[at]
			it.link.leave()
			it.link.leave() // once more does nothing
			model = slices.Delete(model, at, at+1)
			if it.link.linked() {
				t.Fatal("linked after leaving")
			}
		case len(model) > 0: // back to the end
			it := model[0]
			it.link.leave()
			l.push(&it.link, it)
			model = append(model[1:], it)
		}
		switch front := l.front(); {
		case len(model) == 0 && front != nil:
			t.Fatalf("step %d: front is %d of an empty list", i, front.id)
		case len(model) > 0 && front != model[0]:
			t.Fatalf("step %d: front is %v, want %d", i, front, model[0].id)
		}
	}
	for _, want := range model {
		got := l.front()
		if got != want {
			t.Fatalf("front is %d, want %d", got.id, want.id)
		}
		got.link.leave()
	}
}
