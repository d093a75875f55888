package tcp

// connTable owns the slots of connections and finds them by tuple and by handle.
type connTable struct {
	byTuple map[tuple]*conn
	chunks  []*[connChunk]conn
	free    []uint32
	used    int
	limit   int
}

// connChunk connections are allocated at a time: a slot never moves.
const connChunk = 32

func (t *connTable) init(limit int) {
	t.byTuple = make(map[tuple]*conn)
	t.limit = limit
}

func (t *connTable) slot(index uint32) *conn { return &t.chunks[index/connChunk][index%connChunk] }

// take returns a slot whose generation is new, and nil at the limit.
func (t *connTable) take() *conn {
	if t.used >= t.limit {
		return nil
	}
	if len(t.free) == 0 {
		chunk := new([connChunk]conn)
		first := uint32(len(t.chunks) * connChunk)
		t.chunks = append(t.chunks, chunk)
		for i := range uint32(connChunk) {
			chunk[i].index = first + i
			t.free = append(t.free, first+connChunk-1-i)
		}
	}
	index := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.used++
	c := t.slot(index)
	c.generation++
	if c.generation == 0 {
		c.generation = 1
	}
	return c
}

// give takes a slot back. Its generation stays, so that handles on it are stale from the next take on; released keeps
// them from being used until then.
func (t *connTable) give(c *conn) {
	index, generation := c.index, c.generation
	*c = conn{index: index, generation: generation, released: true}
	t.free = append(t.free, index)
	t.used--
}

// get returns the connection that a user's handle names, and nil when the handle is stale or nobody has it yet: a
// connection that waits for Accept belongs to its listener.
func (t *connTable) get(id ConnID) *conn {
	if c := t.find(id); c != nil && !c.released && !c.waiting {
		return c
	}
	return nil
}

// find returns the connection that id names, whoever it belongs to.
func (t *connTable) find(id ConnID) *conn {
	index := id.Index()
	if int(index) >= len(t.chunks)*connChunk {
		return nil
	}
	if c := t.slot(index); c.id() == id && c.inUse() {
		return c
	}
	return nil
}

// each calls visit for every slot in use.
func (t *connTable) each(visit func(*conn)) {
	for _, chunk := range t.chunks {
		for i := range chunk {
			if c := &chunk[i]; c.inUse() {
				visit(c)
			}
		}
	}
}

// inUse reports whether the slot holds a connection.
func (c *conn) inUse() bool { return c.state != StateClosed || !c.released && c.generation != 0 }
