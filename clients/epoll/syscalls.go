package epoll

import (
	"encoding/binary"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// read, write and close go through RawSyscall: on nonblocking sockets they can't block, and so the scheduler need not
// know. The buffers must not be empty.

func read(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

func write(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

func closeFD(fd int32) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// address is a socket address as the kernel reads it. Unlike those of the unix package it can be shared: nothing writes
// to it after newAddress.
type address struct {
	raw  [unix.SizeofSockaddrInet6]byte
	size uintptr
}

// newAddress returns the address and its family.
func newAddress(ip net.IP, port int, zone string) (a address, family int) {
	p := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw))
	if v4 := ip.To4(); v4 != nil || ip == nil {
		family, a.size = unix.AF_INET, unix.SizeofSockaddrInet4
		copy(a.raw[4:8], v4)
	} else {
		family, a.size = unix.AF_INET6, unix.SizeofSockaddrInet6
		copy(p.Addr[:], ip.To16())
		if i, err := net.InterfaceByName(zone); zone != "" && err == nil {
			p.Scope_id = uint32(i.Index)
		}
	}
	p.Family = uint16(family)
	binary.BigEndian.PutUint16(a.raw[2:4], uint16(port))
	return a, family
}

func bind(fd int32, a *address) syscall.Errno { return withAddress(unix.SYS_BIND, fd, a) }

func connect(fd int32, a *address) syscall.Errno { return withAddress(unix.SYS_CONNECT, fd, a) }

func withAddress(call uintptr, fd int32, a *address) syscall.Errno {
	_, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), a.size)
	return errno
}

// poller waits for events of one epoll descriptor with nanoseconds' precision.
type poller struct {
	fd     int
	events []unix.EpollEvent
	coarse bool // the kernel has no epoll_pwait2 (before 5.11): waits are cut to whole milliseconds
}

func newPoller(events int) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &poller{fd: fd, events: make([]unix.EpollEvent, events)}, nil
}

// add registers a socket once, edge-triggered for all that can happen to it. Its events carry the two numbers.
func (p *poller) add(fd int32, index int32, generation uint32) syscall.Errno {
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
		Fd:     index, Pad: int32(generation),
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// wait returns the events there are, and blocks for at most ns if there are none. A wait that can block goes through
// Syscall6: within a RawSyscall6 it would hold up every other goroutine of the process.
func (p *poller) wait(ns int64) int {
	list, size := uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events))
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

func (p *poller) close() { closeFD(int32(p.fd)) }

// socketError is the pending error of a socket, and takes it.
func socketError(fd int32) syscall.Errno {
	v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return unix.EIO
	}
	return syscall.Errno(v)
}

// resetOnClose makes close send a reset.
func resetOnClose(fd int32) {
	// Of an open socket this can't fail.
	_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// threadCPU is the CPU time of the calling thread in ns.
func threadCPU() int64 { return cpu(unix.RUSAGE_THREAD) }

// processCPU is the CPU time of the whole process in ns.
func processCPU() int64 { return cpu(unix.RUSAGE_SELF) }

func cpu(who int) int64 {
	var u unix.Rusage
	// The arguments are fixed and right.
	_ = unix.Getrusage(who, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// sharpTimers takes the default slack of 50 µs off the calling thread's waits.
func sharpTimers() {
	// Refused nowhere; without it waits are 50 µs late, which the lag check sees.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}
