package tcp

import "time"

// Time is a point in time: nanoseconds on a monotonic scale whose origin the caller chooses, above zero.
// Calls on one Stack must not go back in time.
type Time int64

// Never is later than any other Time.
const Never = Time(1<<63 - 1)

// Add returns the time d after t.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the duration from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }
