package hist

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newCounts maps zeroed counters of which no page is resident yet, and unmaps them once h is unreachable. The Go heap
// promises neither: a reused span is cleared by writing to all of it, and with transparent huge pages the first touch
// makes 2 MiB resident. So whoever holds only a *counts must keep h alive as long. Where the kernel refuses the
// mapping (vm.max_map_count), the heap serves.
func newCounts(h *Histogram) *counts {
	mem, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(counts{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return new(counts)
	}
	// A kernel without huge pages refuses this, and then it isn't needed.
	_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE)
	runtime.AddCleanup(h, func(mem []byte) { _ = unix.Munmap(mem) }, mem)
	return (*counts)(unsafe.Pointer(&mem[0]))
}
