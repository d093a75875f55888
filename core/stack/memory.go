package stack

import (
	"github.com/MUCZ/Starfish/core/zbuf"
)

// memory shares the pool out. If the bytes that users send could take all of it, there would be no block left for the
// acknowledgements that free them, and if received data that nobody reads could, none for anybody's.
type memory struct {
	pool *zbuf.Pool
	// userLimit is the use of the pool in bytes above which users that send have to wait: three quarters.
	userLimit int64
	// dataLimit is the use of the pool in bytes above which arriving packets with data are dropped, and only those
	// that can do no more than acknowledge are taken: fifteen sixteenths.
	dataLimit int64
}

// bareSegment is the size in bytes of the largest packet that passes above dataLimit: a header with many options.
const bareSegment = 128

func newMemory(pool *zbuf.Pool) memory {
	limit := pool.Limit()
	return memory{pool: pool, userLimit: limit - limit/4, dataLimit: limit - limit/16}
}

// forUser reports whether a user may have n more bytes to send.
func (m *memory) forUser(n int) bool { return m.pool.InUse()+int64(n) <= m.userLimit }

// get returns a block of n bytes for a user to send.
func (m *memory) get(n int) (zbuf.Slice, bool) {
	if !m.forUser(n) {
		return zbuf.Slice{}, false
	}
	return m.pool.Get(n)
}

// takes reports whether a packet of n bytes may come in.
func (m *memory) takes(n int) bool { return n <= bareSegment || m.pool.InUse() <= m.dataLimit }
