package tcp

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTokenBucket(t *testing.T) {
	// RFC 5961 §7 suggests 10 challenge ACKs in 5 seconds.
	limit := rateLimit{interval: 500 * time.Millisecond, burst: 10}
	for _, start := range []Time{0, 1, Time(time.Hour), 1 << 61} {
		var b tokenBucket
		for i := range 10 {
			if !b.take(start, limit) {
				t.Fatalf("start %d: token %d of the burst refused", start, i)
			}
		}
		if b.take(start, limit) || b.take(start.Add(500*time.Millisecond-2), limit) {
			t.Fatalf("start %d: more than the burst", start)
		}
		if !b.take(start.Add(500*time.Millisecond), limit) || b.take(start.Add(500*time.Millisecond), limit) {
			t.Fatalf("start %d: want one token after one interval", start)
		}
		later := start.Add(time.Hour)
		for range 10 {
			if !b.take(later, limit) {
				t.Fatalf("start %d: not full after an hour", start)
			}
		}
		if b.take(later, limit) {
			t.Fatalf("start %d: an hour of rest gave more than a burst", start)
		}
	}
}

func TestTokenBucketEdges(t *testing.T) {
	var free tokenBucket
	for range 1000 {
		if !free.take(5, rateLimit{}) {
			t.Fatal("the zero limit refused")
		}
	}
	var one tokenBucket
	if limit := (rateLimit{interval: time.Second}); !one.take(5, limit) || one.take(5, limit) {
		t.Fatal("a burst below 1 counts as 1")
	}
}

// In any span of time no more than the burst and the refill pass; and what the rate allows does pass.
func TestTokenBucketRate(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		limit := rateLimit{interval: time.Duration(1 + r.IntN(1e6)), burst: 2 + r.IntN(20)}
		var b tokenBucket
		var passed []Time
		var now Time
		for range 2000 {
			now += Time(r.IntN(int(limit.interval)))
			if b.take(now, limit) {
				passed = append(passed, now)
			}
		}
		for i := range passed {
			for j := i; j < min(i+3*limit.burst, len(passed)); j++ {
				if allowed := limit.burst + int(passed[j].Sub(passed[i])/limit.interval); j-i+1 > allowed {
					t.Fatalf("%d in %v with %+v", j-i+1, passed[j].Sub(passed[i]), limit)
				}
			}
		}
		// Steps are shorter than the interval, so the bucket never overflows.
		if least := int(now / Time(limit.interval)); len(passed) < least {
			t.Fatalf("%d passed, want %d", len(passed), least)
		}
	}
}
