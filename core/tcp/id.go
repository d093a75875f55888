package tcp

// ConnID is a handle on a connection: a slot and the slot's generation, so that a stale handle can't reach another
// connection that reuses the slot. The zero ConnID names nothing.
type ConnID uint64

// ListenerID is a handle on a listener, made like a ConnID.
type ListenerID uint64

// Index returns the slot: small numbers, reused, good for indexing the user's own table.
func (id ConnID) Index() uint32 { return uint32(id) }

// Index returns the slot, as ConnID's Index does.
func (id ListenerID) Index() uint32 { return uint32(id) }

// Generations start at 1, so that a valid handle is never zero.
func makeID(index, generation uint32) uint64 { return uint64(generation)<<32 | uint64(index) }
