package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// kernelThread is PF_KTHREAD of linux/sched.h.
const kernelThread = 0x00200000

// CPUClocks are the CPU clocks of all processes at one time, exact to the ns where /proc/stat counts in ticks.
type CPUClocks struct {
	atNs int64         // as Monotonic
	ns   map[int]int64 // by pid, as CPUTime
}

// ReadCPUClocks reads the CPU clocks of all processes, in about 0.1 ms for a hundred. It is an error where /proc does not show
// them all.
func ReadCPUClocks() (*CPUClocks, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	c := &CPUClocks{atNs: Monotonic(), ns: make(map[int]int64, len(names))}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if ns, err := CPUTime(pid); err == nil { // else it has ended
			c.ns[pid] = ns
		}
	}
	if _, ok := c.ns[1]; !ok {
		return nil, errors.New("listing processes: /proc does not show process 1: mount it without hidepid")
	}
	return c, nil
}

// Foreign returns the CPU time in ns that processes of others took since c was read, and how many ns ago that was, in
// about 0.3 ms for a hundred processes. Ours are the caller, its parent, all children of its parent and theirs (in a duet
// another agent has a server too), and the server's processes, but no other child of the caller. Kernel threads are left out: ksoftirqd
// works for the load. A process that came since counts with its whole time; one that ended since is missed.
func (c *CPUClocks) Foreign(servers ...int) (usedNs, spanNs int64, err error) {
	now, err := ReadCPUClocks()
	if err != nil {
		return 0, 0, err
	}
	used, err := c.foreign(now, servers)
	for _, ns := range used {
		usedNs += ns
	}
	return usedNs, now.atNs - c.atNs, err
}

// foreign returns by pid what foreign processes took from c to now.
func (c *CPUClocks) foreign(now *CPUClocks, servers []int) (map[int]int64, error) {
	self, parent := os.Getpid(), os.Getppid()
	used := map[int]int64{}
	for pid, ns := range now.ns {
		if before := c.ns[pid]; before <= ns { // else the pid is another process's by now
			ns -= before
		}
		if ns == 0 || pid == self || pid == parent || slices.Contains(servers, pid) {
			continue
		}
		above, flags, err := parentOf(pid)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH): // ended just now, and counts no less for it
		case err != nil:
			return nil, err
		case above == parent || flags&kernelThread != 0 || above != self && childOf(above, parent):
			continue
		}
		used[pid] = ns
	}
	return used, nil
}

// childOf reports whether pid's parent is this one; of one that has ended nobody knows.
func childOf(pid, parent int) bool {
	above, _, err := parentOf(pid)
	return err == nil && above == parent
}

// parentOf reads the parent's pid, field 4 of /proc/PID/stat, and the kernel's flags, field 9.
func parentOf(pid int) (parent int, flags int64, err error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, fmt.Errorf("asking for a process's parent: %w", err)
	}
	rest := b[bytes.LastIndexByte(b, ')')+1:] // the name in field 2 may hold blanks and brackets
	ppid, _ := number(skip(rest, 2))
	if flags, _ = number(skip(rest, 7)); ppid == Unknown || flags == Unknown {
		return 0, 0, fmt.Errorf("reading %s: no parent or flags in %q", path, b)
	}
	return int(ppid), flags, nil
}
