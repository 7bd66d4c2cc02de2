// Package sys holds the Linux system calls of the epoll engine, in the form in which its hot path needs them: nothing
// allocates, nothing copies, and errors are numbers.
package sys

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receive, Send and Close go through RawSyscall: on nonblocking sockets they can't block, and so the scheduler need not
// know. read and write would do the same, but touch the open file and its inode on the way: over 10 000 connections, which
// are in no cache, the client did 9 % more requests a CPU-second without (1 to 25 %, six pairs).

// Receive reads from a socket into a buffer that must not be empty.
func Receive(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), errno
}

// Send writes a buffer that must not be empty to a socket.
func Send(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// Close closes a descriptor; of a socket there is no error worth knowing.
func Close(fd int32) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// Address is a socket address as the kernel reads it. Unlike those of the unix package it can be shared: nothing writes
// to it after NewAddress.
type Address struct {
	raw  [unix.SizeofSockaddrUnix]byte
	size uintptr
}

// NewAddress returns the address and its family. zone is the name or the number of an interface; one that this host does
// not know leaves the choice to the kernel.
func NewAddress(ip net.IP, port int, zone string) (a Address, family int) {
	p := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw))
	if v4 := ip.To4(); v4 != nil || ip == nil {
		family, a.size = unix.AF_INET, unix.SizeofSockaddrInet4
		copy(a.raw[4:8], v4)
	} else {
		family, a.size = unix.AF_INET6, unix.SizeofSockaddrInet6
		copy(p.Addr[:], ip.To16())
		if i, err := net.InterfaceByName(zone); zone != "" && err == nil {
			p.Scope_id = uint32(i.Index)
		} else if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			p.Scope_id = uint32(n)
		}
	}
	p.Family = uint16(family)
	binary.BigEndian.PutUint16(a.raw[2:4], uint16(port))
	return a, family
}

// NewUnixAddress returns the address of a unix socket. A path that begins with @ is of the abstract name space.
func NewUnixAddress(path string) (a Address, err error) {
	p := (*unix.RawSockaddrUnix)(unsafe.Pointer(&a.raw))
	if most := len(p.Path) - 1; path == "" || len(path) > most || strings.ContainsRune(path, 0) {
		return a, fmt.Errorf("path %q has %d bytes: want 1 to %d", path, len(path), most)
	}
	p.Family = unix.AF_UNIX
	name := a.raw[unsafe.Offsetof(p.Path):]
	a.size = unsafe.Offsetof(p.Path) + uintptr(copy(name, path))
	if path[0] == '@' {
		name[0] = 0
	} else {
		a.size++ // the zero behind it
	}
	return a, nil
}

// bindNoPort is IP_BIND_ADDRESS_NO_PORT: the port is chosen by connect, so that it need only be free towards the target.
const bindNoPort = 24

// LeastReceiveBuffer makes the kernel give a socket the smallest receive buffer that it has.
const LeastReceiveBuffer = 1

// Dial begins to connect a nonblocking socket: one of TCP without Nagle's delay, from a source address unless it is nil, and
// with a congestion control unless that is empty, and a receive buffer of so many bytes unless that is zero; one of AF_UNIX with
// none of these. A zero errno or EINPROGRESS means that it is
// under way; with any other one there is no socket. A unix socket whose backlog is full refuses.
func Dial(family int, from, to *Address, congestion []byte, receive int) (fd int32, errno syscall.Errno) {
	sock, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, errnoOf(err)
	}
	if family == unix.AF_UNIX {
		if errno = withAddress(unix.SYS_CONNECT, sock, to); errno != 0 {
			Close(int32(sock))
			sock = -1
		}
		if errno == unix.EAGAIN { // of TCP it would mean no port
			errno = unix.ECONNREFUSED
		}
		return int32(sock), errno
	}
	// None of these options can fail of a TCP socket; all would show in the connections.
	_ = unix.SetsockoptInt(sock, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if receive > 0 {
		_ = unix.SetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
	}
	if len(congestion) > 0 {
		errno = setOption(sock, unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
	}
	if from != nil && errno == 0 {
		_ = unix.SetsockoptInt(sock, unix.IPPROTO_IP, bindNoPort, 1)
		errno = withAddress(unix.SYS_BIND, sock, from)
	}
	if errno == 0 {
		errno = withAddress(unix.SYS_CONNECT, sock, to)
	}
	if errno != 0 && errno != unix.EINPROGRESS {
		Close(int32(sock))
		return -1, errno
	}
	return int32(sock), errno
}

func setOption(fd, level, name int, value []byte) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&value[0])), uintptr(len(value)), 0)
	return errno
}

func withAddress(call uintptr, fd int, a *Address) syscall.Errno {
	_, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), a.size)
	return errno
}

// SocketError is the pending error of a socket, and takes it.
func SocketError(fd int32) syscall.Errno {
	v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return unix.EIO
	}
	return syscall.Errno(v)
}

// ResetOnClose makes close send a reset.
func ResetOnClose(fd int32) {
	// Of an open socket this can't fail.
	_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// ThreadCPU is the CPU time of the calling thread in ns.
func ThreadCPU() int64 { return cpu(unix.RUSAGE_THREAD) }

// ProcessCPU is the CPU time of the whole process in ns.
func ProcessCPU() int64 { return cpu(unix.RUSAGE_SELF) }

func cpu(who int) int64 {
	var u unix.Rusage
	// The arguments are fixed and right.
	_ = unix.Getrusage(who, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// SharpTimers takes the default slack of 50 µs off the calling thread's waits.
func SharpTimers() {
	// Refused nowhere; without it waits are 50 µs late, which the lag check sees.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// CheckCongestion tells whether a congestion control may be used on this host.
func CheckCongestion(family int, name []byte) error {
	sock, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer Close(int32(sock))
	if errno := setOption(sock, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name); errno != 0 {
		return errno
	}
	return nil
}

// Congestion is the name of a socket's congestion control, empty if unknown.
func Congestion(fd int32) string {
	name, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if err != nil {
		return ""
	}
	return name
}

func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return unix.EIO
}
