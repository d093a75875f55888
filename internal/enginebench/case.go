// Package enginebench moves bytes from one TCP engine to another in memory, on one thread: what the engine costs without
// a device, a kernel, or anybody to wait for.
package enginebench

import "time"

// Case is a link and what it does to packets. There and back it takes 100 µs of simulated time.
type Case struct {
	Name string
	// Super says that the link carries super-segments of up to 64 KiB, as a device with offload does.
	Super bool
	// Checksums says that the engines compute and verify checksums themselves.
	Checksums bool
	// Batch is how many packets the link takes at a time.
	Batch int
	// Reversed says that of each batch the last packet arrives first.
	Reversed bool
	// LossEvery, unless 0, says that of so many packets with data one is lost.
	LossEvery int
	// Handshake is how long the first packet is on its way, as where an address has to be resolved first.
	Handshake time.Duration
}

// Cases are in order and reordered, in super-segments and in segments of 1,460 bytes less options; with loss; and with
// checksums.
var Cases = []Case{
	{Name: "super/inorder", Super: true, Batch: 16},
	{Name: "super/reversed", Super: true, Batch: 4, Reversed: true},
	{Name: "mss/inorder", Batch: 16},
	{Name: "mss/reversed", Batch: 16, Reversed: true},
	{Name: "mss/lossy", Batch: 1000, LossEvery: 1000},
	{Name: "mss+checksum/inorder", Checksums: true, Batch: 16},
}
