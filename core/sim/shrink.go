package sim

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/MUCZ/Starfish/core/wire"
)

const windowOffset = 14 // in a TCP header

// shrinkWindow lets a segment announce a smaller window than its sender does, down to none.
func shrinkWindow(p *packet, rng *rand.Rand) {
	var v parsed
	if !v.parse(p) || v.tcp.Flags.Has(wire.SYN) || v.tcp.Flags.Has(wire.RST) {
		return
	}
	window := 0
	if rng.IntN(3) > 0 {
		window = rng.IntN(int(v.tcp.Window) + 1)
	}
	binary.BigEndian.PutUint16(p.data[v.ip.HeaderLen+windowOffset:], uint16(window))
	if !p.trusted {
		finishChecksum(p.data, v.ip.HeaderLen)
	}
}
