package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stamps reads and writes single messages with the kernel's software time stamps, in ns of CLOCK_REALTIME. It belongs to
// one thread, and must not be copied.
type Stamps struct {
	iov     unix.Iovec
	msg     unix.Msghdr
	control [256]byte
}

// ask is what a stamped socket reports: the arrival of what is read, and, of writes that ask for it, when the last byte
// left for the device, without a copy of the packet.
const ask = unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_TSONLY

// Enable lets a socket report time stamps.
func (s *Stamps) Enable(fd int32) syscall.Errno {
	return errnoOf(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING, ask))
}

func (s *Stamps) header(b []byte, control int) {
	s.msg = unix.Msghdr{Control: &s.control[0]}
	s.msg.SetControllen(control)
	if len(b) > 0 {
		s.iov.Base = &b[0]
		s.iov.SetLen(len(b))
		s.msg.Iov = &s.iov
		s.msg.SetIovlen(1)
	}
}

// Write is Send, and asks for the time at which the bytes leave.
func (s *Stamps) Write(fd int32, b []byte) (int, syscall.Errno) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&s.control[0]))
	h.Level, h.Type = unix.SOL_SOCKET, unix.SO_TIMESTAMPING
	h.SetLen(unix.CmsgLen(4))
	*(*uint32)(unsafe.Pointer(&s.control[unix.CmsgLen(0)])) = unix.SOF_TIMESTAMPING_TX_SOFTWARE
	s.header(b, unix.CmsgSpace(4))
	n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.msg)), unix.MSG_NOSIGNAL)
	return int(n), errno
}

// Read is Receive, with the time at which the last packet of what it returns arrived; zero where the kernel told none.
func (s *Stamps) Read(fd int32, b []byte) (n int, ns int64, errno syscall.Errno) {
	s.header(b, len(s.control))
	r, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.msg)), 0)
	if errno != 0 {
		return 0, 0, errno
	}
	return int(r), s.stamp(), 0
}

// Left is the time at which the last write that asked for it left, zero if the kernel has not told. It takes all that the
// socket's error queue holds.
func (s *Stamps) Left(fd int32) (ns int64) {
	for {
		s.header(nil, len(s.control))
		_, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.msg)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if errno != 0 {
			return ns
		}
		if at := s.stamp(); at != 0 {
			ns = at
		}
	}
}

// stamp finds the software time stamp in the control messages of the last receive: struct scm_timestamping, three timespecs
// of which the first is the software's.
func (s *Stamps) stamp() int64 {
	left := s.control[:min(int(s.msg.Controllen), len(s.control))]
	for len(left) >= unix.CmsgLen(0) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&left[0]))
		size := int(h.Len)
		if size < unix.CmsgLen(0) || size > len(left) {
			break
		}
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPING && size >= unix.CmsgLen(3*int(unsafe.Sizeof(unix.Timespec{}))) {
			return (*unix.Timespec)(unsafe.Pointer(&left[unix.CmsgLen(0)])).Nano()
		}
		left = left[min(unix.CmsgSpace(size-unix.CmsgLen(0)), len(left)):]
	}
	return 0
}

// Realtime is what has to be added to CLOCK_MONOTONIC to get CLOCK_REALTIME, now.
func Realtime() int64 {
	var mono, real unix.Timespec
	// Both clocks exist on every Linux. They are read some tens of ns apart.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono)
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &real)
	return real.Nano() - mono.Nano()
}
