package client

import "sync"

// copyBufferSize is what one read or write of a copy moves: the kernel's default for a unix socket's queue is 208 KiB.
const copyBufferSize = 128 << 10

var copyBuffers = sync.Pool{New: func() any {
	buf := make([]byte, copyBufferSize)
	return &buf
}}

// frameSize is how many bytes one message of a Stream RPC carries at most: the size that the API recommends. An HTTP/2
// frame has 16 KiB, so that larger messages save little.
const frameSize = 64 << 10

// framePool is the mem.BufferPool of outgoing frames: all of one size.
type framePool struct{ pool sync.Pool }

var frames framePool

// Get returns an empty buffer with room for a frame, whatever the length.
func (p *framePool) Get(int) *[]byte {
	if buf, ok := p.pool.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, 0, frameSize)
	return &buf
}

// Put takes a buffer back.
func (p *framePool) Put(buf *[]byte) {
	*buf = (*buf)[:0]
	p.pool.Put(buf)
}
