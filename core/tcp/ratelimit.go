package tcp

import "time"

// rateLimit allows burst events at once and one more each interval. The zero limit allows everything.
type rateLimit struct {
	interval time.Duration
	burst    int
}

// tokenBucket holds one subject to a rateLimit: a connection to that of its challenge ACKs (RFC 5961 §7), a stack to
// those of its RSTs and ICMP messages (RFC 1812 §4.3.2.8). It keeps one time instead of tokens and their age, so that
// every connection can have its own and no peer uses up another's, which would be a side channel. The zero bucket is full.
type tokenBucket struct {
	full Time // when all tokens are back
}

// take reports whether an event may happen now, and counts it if so.
func (b *tokenBucket) take(now Time, l rateLimit) bool {
	if l.interval <= 0 {
		return true
	}
	from := max(b.full, now)
	if from-now > Time(l.interval)*Time(max(l.burst, 1)-1) {
		return false
	}
	b.full = from + Time(l.interval)
	return true
}
