package sim

import "encoding/binary"

// content is a byte stream without end that is computed and never stored: byte p depends on the key and on p alone, so
// that any piece of it, received anywhere, can be checked.
type content uint64

// word returns the bytes [8n, 8n+8) of the stream, by the finalizer of SplitMix64: neighbours have nothing in common,
// so that a stream shifted by any number of bytes shows within a few.
func (c content) word(n uint64) uint64 {
	z := uint64(c) + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// fill writes the bytes of the stream from position pos on into b.
func (c content) fill(b []byte, pos uint64) {
	for len(b) > 0 {
		w := c.word(pos / 8)
		if pos%8 == 0 && len(b) >= 8 {
			binary.LittleEndian.PutUint64(b, w)
			b, pos = b[8:], pos+8
			continue
		}
		n := min(len(b), 8-int(pos%8))
		w >>= pos % 8 * 8
		for i := range b[:n] {
			b[i] = byte(w >> (i * 8))
		}
		b, pos = b[n:], pos+uint64(n)
	}
}

// mismatch returns the index of the first byte of b that is not the stream's at pos, and -1 when all are.
func (c content) mismatch(b []byte, pos uint64) int {
	for i := 0; i < len(b); {
		p := pos + uint64(i)
		w := c.word(p / 8)
		if p%8 == 0 && len(b)-i >= 8 && binary.LittleEndian.Uint64(b[i:]) == w {
			i += 8
			continue
		}
		w >>= p % 8 * 8
		for range min(len(b)-i, 8-int(p%8)) {
			if b[i] != byte(w) {
				return i
			}
			w >>= 8
			i++
		}
	}
	return -1
}
