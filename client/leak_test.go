package client

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// leakSlack is what gRPC and the fake daemon, which runs in this process too, may have more of at one time than at
// another. The test opens far more than that.
const leakSlack = 10

// TestNothingLeaks counts goroutines and descriptors of this process.
func TestNothingLeaks(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		use := func() {
			c, err := New(peer.socket)
			if err != nil {
				t.Fatal(err)
			}
			l := peer.listen(t, c, way)
			for i := range 20 {
				dialled, taken, err := connect(c, l, way)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = dialled.Write([]byte("x"))
				switch i % 4 {
				case 0:
					_ = dialled.CloseWrite()
				case 1:
					_ = dialled.Abort()
				case 2:
					_ = dialled.SetReadDeadline(time.Now().Add(time.Hour))
				}
				_ = dialled.Close()
				_ = taken.Close()
			}
			_ = l.Close()
			_ = c.Close()
		}
		use() // pools, the resolver and the like begin with the first use
		goroutines, descriptors := settle(0, 0)
		for range 3 {
			use()
		}
		g, d := settle(goroutines, descriptors)
		if g > goroutines+leakSlack || d > descriptors+leakSlack {
			stacks := make([]byte, 1<<20)
			t.Errorf("goroutines %d, then %d; descriptors %d, then %d\n%s",
				goroutines, g, descriptors, d, stacks[:runtime.Stack(stacks, true)])
		}
	})
}

// settle waits until no more than that is left, or for a few seconds.
func settle(goroutines, descriptors int) (g, d int) {
	for range 60 {
		g, d = runtime.NumGoroutine(), openDescriptors()
		if g <= goroutines && d <= descriptors {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return g, d
}

func openDescriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
