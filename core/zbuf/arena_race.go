//go:build race

package zbuf

// mapArena takes the memory from the Go heap in race builds: the race detector watches only what the Go runtime
// allocated, so that on mapped memory it would miss every race on payload.
func mapArena(size int) ([]byte, error) { return make([]byte, size), nil }

// discard does nothing: the Go heap keeps its pages.
func discard([]byte) bool { return false }
