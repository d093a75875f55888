package zbuf

import (
	"bytes"
	"fmt"
	"sync/atomic"
)

// poisonByte fills released blocks in checking builds. 0xdb is neither zero nor printable nor the start of an IP header.
const poisonByte = 0xdb

var poisonPattern = bytes.Repeat([]byte{poisonByte}, MaxBlock)

var poisonOn atomic.Bool

// PoisonReleased makes every released block be overwritten with 0xdb and checked when it is handed out again: a reader
// that kept a view too long sees garbage, a writer is caught by a panic. For tests; the build tag zbufdebug
// has it on from the start. It returns the former setting.
func PoisonReleased(on bool) bool { return poisonOn.Swap(on) }

func (b *block) poison() {
	if poisonOn.Load() {
		copy(b.bytes(), poisonPattern)
		b.poisoned = true
	}
}

func (b *block) checkPoison() {
	if !b.poisoned {
		return
	}
	b.poisoned = false
	if got := b.bytes(); !bytes.Equal(got, poisonPattern[:len(got)]) {
		panic(fmt.Sprintf("zbuf: a block of %d bytes was written to after its release", len(got)))
	}
}
