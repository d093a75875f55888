//go:build !race

package zbuf

import "golang.org/x/sys/unix"

// mapArena returns size bytes of anonymous memory that the garbage collector neither scans nor counts. Pages become
// resident when they are first touched.
func mapArena(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// discard gives the pages of a page-aligned range back to the system; they read as zero afterwards.
func discard(p []byte) bool { return unix.Madvise(p, unix.MADV_DONTNEED) == nil }
