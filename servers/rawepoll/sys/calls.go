// Package sys holds the system calls of rawepoll, in the form in which its loop needs them: nothing allocates, and errors are
// numbers.
//
// On sockets that don't block these calls can't either, so they go through RawSyscall and the scheduler need not know; but for
// Wait, which does: within a RawSyscall it would hold up every other goroutine.
package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Accept takes a connection off a listener's backlog, without blocking; it is nonblocking itself.
func Accept(fd int) (conn int, errno syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

// Receive reads from a socket into a buffer that must not be empty.
func Receive(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), errno
}

// Send writes a buffer that must not be empty to a socket.
func Send(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// Close closes a descriptor; of a socket there is no error worth knowing.
func Close(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// Watch registers a connection once, for all that can happen to it.
func Watch(epoll, fd int) syscall.Errno {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	return errno
}

// Wait blocks, fills events and returns how many there are, at least one unless it is interrupted.
func Wait(epoll int, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
