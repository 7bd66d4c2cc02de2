package procfs

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Process reads the resources of one process, which may belong to the caller or not. It is not safe for concurrent use.
type Process struct {
	pid          int
	status, stat *file
	rollup       *file // nil where the kernel has no smaps_rollup or forbids it
	fds          int   // directory /proc/PID/fd, or -1
	user, system int64 // of the last Read: both only grow
}

// Usage is what a process uses. CPU times are since its start and include threads that have ended.
//
// CPUUserNs + CPUSystemNs is the process's CPU clock, with ns resolution. The split between them follows
// /proc/PID/stat, in steps of 10 ms. The kernel keeps memory counters per CPU, so that RSSBytes and RSSAnonBytes may
// be off by up to 64 pages per CPU; PSS is exact.
type Usage struct {
	RSSBytes     int64
	RSSAnonBytes int64
	RSSPeakBytes int64 // VmHWM: ru_maxrss would inherit the parent's
	Threads      int64
	CPUUserNs    int64
	CPUSystemNs  int64
}

// OpenProcess opens the files of a running process. They keep meaning that process, not a later one of the same pid,
// except for the CPU clock: the caller must not reap it before the last Read.
func OpenProcess(pid int) (*Process, error) {
	p := &Process{pid: pid, fds: -1}
	var err error
	if p.status, err = open(fmt.Sprintf("/proc/%d/status", pid), 4096); err != nil {
		return nil, err
	}
	if p.stat, err = open(fmt.Sprintf("/proc/%d/stat", pid), 1024); err != nil {
		p.Close()
		return nil, err
	}
	p.rollup, _ = open(fmt.Sprintf("/proc/%d/smaps_rollup", pid), 4096)
	if fd, err := unix.Open(fmt.Sprintf("/proc/%d/fd", pid), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		p.fds = fd
	}
	return p, nil
}

// Close closes the files. It may be called more than once.
func (p *Process) Close() {
	p.status.close()
	p.stat.close()
	p.rollup.close()
	if p.fds >= 0 {
		unix.Close(p.fds)
		p.fds = -1
	}
}

// Read reads the process's usage, without allocation, in three system calls. It is an error when the process has ended.
func (p *Process) Read() (Usage, error) {
	b, err := p.status.read()
	if err != nil {
		return Usage{}, err
	}
	u := Usage{
		RSSBytes:     scaled(labelled(b, "VmRSS:"), 1024),
		RSSAnonBytes: scaled(labelled(b, "RssAnon:"), 1024),
		RSSPeakBytes: scaled(labelled(b, "VmHWM:"), 1024),
		Threads:      labelled(b, "Threads:"),
	}
	if u.RSSBytes == Unknown {
		return Usage{}, fmt.Errorf("reading %s: process %d has ended", p.status.path, p.pid)
	}
	if b, err = p.stat.read(); err != nil {
		return Usage{}, err
	}
	system, err := systemNs(b)
	if err != nil {
		return Usage{}, fmt.Errorf("reading %s: %w", p.stat.path, err)
	}
	total, err := CPUTime(p.pid)
	if err != nil {
		return Usage{}, err
	}
	p.split(total, system)
	u.CPUUserNs, u.CPUSystemNs = p.user, p.system
	return u, nil
}

// split divides total into user and system so that neither ever shrinks and both add up to total.
func (p *Process) split(total, system int64) {
	system = min(max(system, p.system), total)
	if user := total - system; user < p.user {
		system = total - p.user
	}
	p.user, p.system = total-system, system
}

// systemNs finds stime, field 15, of /proc/PID/stat. The name in field 2 may hold blanks and brackets.
func systemNs(b []byte) (int64, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 || i+2 > len(b) {
		return 0, fmt.Errorf("no process name in %q", b)
	}
	v, _ := number(skip(b[i+2:], 12))
	if v == Unknown {
		return 0, fmt.Errorf("no system time in %q", b)
	}
	return v * tickNs, nil
}

// PSS reads the memory that the process would free by ending: its own pages and its part of shared ones, in bytes. The
// kernel walks all page tables for it and holds up the process's own mmap calls meanwhile: milliseconds per GB.
func (p *Process) PSS() (int64, error) {
	if p.rollup == nil {
		return 0, fmt.Errorf("reading /proc/%d/smaps_rollup: not available", p.pid)
	}
	b, err := p.rollup.read()
	if err != nil {
		return 0, err
	}
	if v := labelled(b, "Pss:"); v != Unknown {
		return v * 1024, nil
	}
	return 0, fmt.Errorf("reading %s: no Pss in it", p.rollup.path)
}

// Files counts the open files. Linux from 6.2 on tells their number as the directory's size; before, the directory is
// read, which takes about a ms per 5000 files.
func (p *Process) Files() (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(p.fds, &st); err == nil && st.Size > 0 {
		return st.Size, nil
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid))
	if err != nil {
		return 0, fmt.Errorf("counting open files of process %d: %w", p.pid, err)
	}
	return int64(len(entries)), nil
}
