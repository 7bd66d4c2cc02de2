package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allCalls is the tracepoint that every system call passes when it begins.
const allCalls = "raw_syscalls/sys_enter"

// syscallKinds are the system calls that are counted apart, each by the tracepoint syscalls/sys_enter_NAME; one that a kernel
// doesn't have is among the others.
var syscallKinds = []string{
	"read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"epoll_ctl", "futex", "nanosleep", "sched_yield", "accept4", "close", "setsockopt", "shutdown", "fcntl", "madvise", "mmap",
	"io_uring_enter", "tgkill", "rt_sigreturn",
}

// tracefsDirs are where tracefs is mounted, if it is.
var tracefsDirs = []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// syscallCounter counts the system calls of one process by its kernel tracepoints: nothing stops it at a call, as a debugger
// would. It is for one goroutine at a time.
type syscallCounter struct {
	names []string // of files[i]; the first is allCalls
	files []int
}

// countSyscalls starts to count the system calls of the calling thread and of every process and thread that it or one of
// them starts from now on. So a server that is started next is counted from its first instruction, with the few calls
// that it takes to start it.
func countSyscalls() (*syscallCounter, error) {
	ids, err := tracepointIDs()
	if err != nil {
		return nil, err
	}
	c := &syscallCounter{}
	for _, name := range append([]string{allCalls}, syscallKinds...) {
		id, ok := ids[name]
		if !ok {
			continue
		}
		fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{
			Type: unix.PERF_TYPE_TRACEPOINT, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Config: id, Bits: unix.PerfBitInherit,
		}, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err != nil {
			c.close()
			return nil, fmt.Errorf("counting system calls by %s: %w: it needs root", name, err)
		}
		c.names, c.files = append(c.names, name), append(c.files, fd)
	}
	return c, nil
}

// read returns how many system calls there were so far, by name; "other" are those that are not in syscallKinds.
func (c *syscallCounter) read() (map[string]int64, error) {
	counts := make(map[string]int64, len(c.files)+1)
	var all, named int64
	var value [8]byte
	for i, fd := range c.files {
		if n, err := unix.Read(fd, value[:]); err != nil || n != len(value) {
			return nil, fmt.Errorf("reading the count of %s: %d bytes, %w", c.names[i], n, err)
		}
		n := int64(binary.NativeEndian.Uint64(value[:]))
		if c.names[i] == allCalls {
			all = n
			continue
		}
		counts[c.names[i]] = n
		named += n
	}
	counts["other"] = max(all-named, 0) // calls may begin between two reads
	return counts, nil
}

func (c *syscallCounter) close() {
	for _, fd := range c.files {
		unix.Close(fd)
	}
	c.files = nil
}

// tracepointIDs are the kernel's numbers of the tracepoints that we count by, allCalls among them. Where tracefs is not
// mounted it is mounted for the time of reading, where nobody else sees it.
func tracepointIDs() (map[string]uint64, error) {
	for _, dir := range tracefsDirs {
		if ids, err := readTracepoints(dir); err == nil {
			return ids, nil
		}
	}
	type answer struct {
		ids map[string]uint64
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread and its mounts end together
		ids, err := mountedTracepoints()
		answers <- answer{ids, err}
	}()
	a := <-answers
	if a.err != nil {
		return nil, fmt.Errorf("finding the kernel's tracepoints: %w: it needs root and tracefs (CONFIG_FTRACE_SYSCALLS)", a.err)
	}
	return a.ids, nil
}

// mountedTracepoints reads the numbers from a tracefs that it mounts for the calling thread alone.
func mountedTracepoints() (ids map[string]uint64, err error) {
	dir, err := os.MkdirTemp("", "millrace-tracefs-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("taking a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("tracefs", dir, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mounting tracefs: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH)) }()
	return readTracepoints(dir)
}

func readTracepoints(dir string) (map[string]uint64, error) {
	ids := map[string]uint64{}
	read := func(name, point string) error {
		text, err := os.ReadFile(filepath.Join(dir, "events", point, "id"))
		if err != nil {
			return err
		}
		ids[name], err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		return err
	}
	if err := read(allCalls, allCalls); err != nil {
		return nil, err
	}
	for _, kind := range syscallKinds {
		if err := read(kind, "syscalls/sys_enter_"+kind); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return ids, nil
}
