package zbuf

import "fmt"

// MaxBlock is the largest block in bytes: an IP packet of 65,535 bytes with 1 KiB and more to spare for headers in
// front of it, rounded up to whole 4 KiB pages.
const MaxBlock = 68 << 10

const numClasses = 4

// class describes one block size.
type class struct {
	size    int // bytes in a block
	perMap  int // blocks carved from one mapping
	perTake int // blocks a pool takes from the depot at a time: one lock of the depot pays for this many
}

// classes, smallest first: 256 bytes for acknowledgement-sized packets and compacted payload, 2 KiB for a packet of
// Ethernet size, 16 KiB for an application's write, MaxBlock for a super-segment.
var classes = [numClasses]class{
	{size: 256, perMap: 4096, perTake: 64},
	{size: 2 << 10, perMap: 512, perTake: 32},
	{size: 16 << 10, perMap: 64, perTake: 8},
	{size: MaxBlock, perMap: 60, perTake: 4},
}

// classFor returns the index of the smallest class that holds n bytes.
func classFor(n int) int {
	if n < 0 || n > MaxBlock {
		panic(fmt.Sprintf("zbuf: block of %d bytes asked for, allowed are 0 to %d", n, MaxBlock))
	}
	for i := range classes {
		if n <= classes[i].size {
			return i
		}
	}
	panic("zbuf: the largest class is below MaxBlock")
}
