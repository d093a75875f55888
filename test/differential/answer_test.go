package differential

import (
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

func TestSegmentsThatFollowAreJoined(t *testing.T) {
	data := func(seq int32, length int, flags wire.Flags) answer {
		return answer{flags: flags | wire.ACK, seq: seq, ack: 1, length: length}
	}
	got := join([]answer{data(1, 100, 0), data(101, 50, 0), data(151, 0, wire.FIN), data(400, 10, 0)})
	if len(got) != 2 || got[0] != data(1, 150, wire.FIN) || got[1] != data(400, 10, 0) {
		t.Errorf("%v", got)
	}
}
