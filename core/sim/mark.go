package sim

import (
	"encoding/binary"

	"github.com/MUCZ/Starfish/core/wire"
)

// rewriteECN marks a packet whose sender is ECN-capable, as a router with a queue does (RFC 3168 §5), or clears the field of
// any packet, as those do that take it for the old type of service.
func rewriteECN(data []byte, bleach bool) {
	var class byte
	v6 := data[0]>>4 == 6
	if class = data[1]; v6 {
		class = data[1] >> 4
	}
	mark := class & 3
	switch {
	case bleach:
		mark = uint8(wire.NotECT)
	case mark != uint8(wire.NotECT):
		mark = uint8(wire.CE)
	}
	if v6 {
		data[1] = data[1]&^0x30 | mark<<4
		return
	}
	data[1] = data[1]&^3 | mark
	header := data[:wire.IPv4HeaderLen]
	binary.BigEndian.PutUint16(header[10:], 0)
	binary.BigEndian.PutUint16(header[10:], ^wire.Fold(wire.Sum(0, header)))
}
