// Package zbuf holds packet bytes in reference-counted blocks outside the garbage collector's reach.
//
// A Slice views a part of a block and owns one reference to it; a Chain is a stream of slices. Payload moves between
// the device, the engine's queues and the application's edge by reference: whoever holds a slice releases it once.
// Everything here is safe for concurrent use, except that one Chain belongs to one goroutine at a time.
//
// Blocks come in a few sizes from memory that is mapped once for the process and never unmapped (see depot), so a
// Pool is cheap: it is a limit, its counters, and a stock of free blocks that nobody else competes for.
package zbuf
