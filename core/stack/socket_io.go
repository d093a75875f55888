package stack

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// readBlocks are the sizes in bytes of the blocks that one read of a socket goes into: small ones in front, so that a
// small read needs no large block, and large ones behind for who has much to send.
var readBlocks = [...]int{2 << 10, 16 << 10, 64 << 10, 64 << 10}

// smallRead is what is read from a socket in any case.
const smallRead = 1

// writePieces bounds the pieces of one vectored write: the kernel takes 1,024, and 256 of at least a segment each fill
// most socket buffers.
const writePieces = 256

// socketBuffers are a shard's means to read and write sockets. Blocks that a read left empty stay for the next.
type socketBuffers struct {
	blocks [len(readBlocks)]zbuf.Slice
	vector [writePieces]unix.Iovec
	views  []zbuf.Slice

	starving []*socketEdge // those that found the pool exhausted
	retryAt  tcp.Time
}

// read reads up to limit bytes into in. It returns 0 at the end of the stream, and tcp.ErrNoBuffers when the pool is
// exhausted.
func (b *socketBuffers) read(s *shard, fd int, in *zbuf.Chain, limit int) (int, error) {
	if !s.stack.memory.forUser(readBlocks[0]) {
		return 0, tcp.ErrNoBuffers
	}
	pool := s.stack.cfg.Pool
	n := 0
	for i, size := range readBlocks {
		if limit <= 0 {
			break
		}
		if b.blocks[i].IsZero() {
			block, ok := pool.Get(size)
			if !ok {
				break // those in front may do
			}
			b.blocks[i] = block
		}
		b.vector[n].Base = unsafe.SliceData(b.blocks[i].Bytes())
		b.vector[n].SetLen(min(size, limit))
		limit -= size
		n++
	}
	if n == 0 {
		return 0, tcp.ErrNoBuffers
	}
	count, err := transfer(unix.SYS_READV, fd, b.vector[:n])
	left := count
	for i := 0; left > 0; i++ {
		k := min(left, readBlocks[i])
		left -= k
		b.push(pool, in, i, k)
	}
	return count, err
}

// push adds the first k bytes of a block to in. Few bytes of a large block are copied to a small one, and the large
// one stays.
func (b *socketBuffers) push(pool *zbuf.Pool, in *zbuf.Chain, i, k int) {
	block := b.blocks[i]
	if block.Footprint() >= zbuf.CompactRatio*k {
		if small, ok := pool.Get(k); ok {
			copy(small.Bytes(), block.Bytes())
			in.Push(small)
			return
		}
	}
	b.blocks[i] = zbuf.Slice{}
	in.Push(block.Resize(k))
}

// write writes from the front of out, and returns how many bytes the socket took.
func (b *socketBuffers) write(fd int, out *zbuf.Chain) (int, error) {
	b.views = out.Views(b.views[:0], out.Start(), min(out.Len(), socketChunk))
	n := min(len(b.views), writePieces)
	for i, view := range b.views[:n] {
		b.vector[i].Base = unsafe.SliceData(view.Bytes())
		b.vector[i].SetLen(view.Len())
	}
	count, err := transfer(unix.SYS_WRITEV, fd, b.vector[:n])
	clear(b.views)
	return count, err
}

func (b *socketBuffers) release() {
	for i := range b.blocks {
		b.blocks[i].Release()
		b.blocks[i] = zbuf.Slice{}
	}
}

// transfer is readv or writev without the allocation that x/sys makes for longer vectors. The descriptor does not block,
// so the Go scheduler isn't told: it would hand our processor to another thread in the middle of a large copy.
func transfer(trap uintptr, fd int, vector []unix.Iovec) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&vector[0])), uintptr(len(vector)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// starve has the shard try e again in a while: the pool is exhausted, and epoll would report the socket all the time.
func (s *shard) starve(e *socketEdge) {
	if len(s.sockets.starving) == 0 {
		s.sockets.retryAt = s.now.Add(noBuffersPause)
	}
	e.starving = true
	s.sockets.starving = append(s.sockets.starving, e)
}

// nextRetry returns when starving sockets are tried again, tcp.Never when there are none.
func (b *socketBuffers) nextRetry() tcp.Time {
	if len(b.starving) == 0 {
		return tcp.Never
	}
	return b.retryAt
}

// retryStarving tries the sockets again that found the pool exhausted.
func (s *shard) retryStarving() {
	if s.now < s.sockets.nextRetry() {
		return
	}
	starving := s.sockets.starving
	s.sockets.starving = nil
	for _, e := range starving {
		e.starving = false
		if !e.closed {
			e.progress(s)
		}
	}
}
