//go:build !race

package zbuf

import "golang.org/x/sys/unix"

// hugePage is the size in bytes of the pages that the system may use for large mappings, on the architectures at hand.
const hugePage = 2 << 20

// mapArena returns size bytes of anonymous memory that the garbage collector neither scans nor counts. Pages become
// resident when they are first touched.
//
// Payload lives in super-segments that are filled once and read twice: huge pages, where the system has them to give,
// spare it a fault for each 4 KiB that a growing pool touches and most misses of the translation buffer.
func mapArena(size int) ([]byte, error) {
	if size < hugePage {
		return mapPages(size)
	}
	arena, err := mapPages((size + hugePage - 1) &^ (hugePage - 1))
	if err != nil {
		return nil, err
	}
	_ = unix.Madvise(arena, unix.MADV_HUGEPAGE) // a kernel without them serves the memory all the same
	return arena[:size], nil
}

func mapPages(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// discard gives the pages of a page-aligned range back to the system; they read as zero afterwards.
func discard(p []byte) bool { return unix.Madvise(p, unix.MADV_DONTNEED) == nil }
