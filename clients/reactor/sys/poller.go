package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller waits for events of one epoll descriptor with nanoseconds' precision.
type Poller struct {
	fd     int
	Events []unix.EpollEvent // of the last Wait
	coarse bool              // the kernel has no epoll_pwait2 (before 5.11): waits are cut to whole milliseconds
}

// NewPoller returns a poller that takes so many events at a time.
func NewPoller(events int) (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &Poller{fd: fd, Events: make([]unix.EpollEvent, events)}, nil
}

// Add registers a socket once, edge-triggered for all that can happen to it. Its events carry the two numbers.
func (p *Poller) Add(fd int32, index int32, generation uint32) syscall.Errno {
	return p.control(unix.EPOLL_CTL_ADD, fd, index, generation)
}

// Again makes a socket that was added tell its events once more, although nothing has happened: one that takes bytes tells
// so at once. Any thread may call it while both are open.
func (p *Poller) Again(fd int32, index int32, generation uint32) syscall.Errno {
	return p.control(unix.EPOLL_CTL_MOD, fd, index, generation)
}

func (p *Poller) control(what int, fd int32, index int32, generation uint32) syscall.Errno {
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
		Fd:     index, Pad: int32(generation),
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(what), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// Wait returns the events there are, and blocks for at most ns if there are none. A wait that can block goes through
// Syscall6: within a RawSyscall6 it would hold up every other goroutine of the process.
func (p *Poller) Wait(ns int64) int {
	list, size := uintptr(unsafe.Pointer(&p.Events[0])), uintptr(len(p.Events))
	if ns <= 0 {
		n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), list, size, 0, 0, 0)
		return count(n, errno)
	}
	if !p.coarse {
		ts := unix.NsecToTimespec(ns)
		n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), list, size, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno != unix.ENOSYS {
			return count(n, errno)
		}
		p.coarse = true
	}
	// Rounded down, so that nothing is late; the rest is spent by waits of nothing.
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), list, size, uintptr(ns/1e6), 0, 0)
	return count(n, errno)
}

// count is the number of events of a wait: none if a signal cut it short, which is the only error that can happen.
func count(n uintptr, errno syscall.Errno) int {
	if errno != 0 {
		return 0
	}
	return int(n)
}

// Close closes the poller's descriptor.
func (p *Poller) Close() { Close(int32(p.fd)) }
