package raw

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listenAt is where a reflector is to listen.
type listenAt struct {
	family int
	ip     netip.Addr // of AF_INET and AF_INET6
	port   uint16     // zero: any
	path   string     // of AF_UNIX
}

// parseListen reads HOST:PORT or unix:PATH.
func parseListen(text string) (listenAt, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" || len(path) > maxPath {
			return listenAt{}, fmt.Errorf("address %q: want unix:PATH with a path of 1 to %d bytes", text, maxPath)
		}
		return listenAt{family: unix.AF_UNIX, path: path}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil && host == "localhost" {
		host = "127.0.0.1"
	}
	ip, bad := netip.ParseAddr(host)
	number, worse := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || worse != nil {
		return listenAt{}, fmt.Errorf("address %q: want HOST:PORT with an IP address and a port from 0 to 65535, or unix:PATH", text)
	}
	at := listenAt{family: unix.AF_INET6, ip: ip.Unmap(), port: uint16(number)}
	if at.ip.Is4() {
		at.family = unix.AF_INET
	}
	return at, nil
}

// maxPath is what fits a socket's address with the zero behind it.
const maxPath = 107

const (
	// lowestPort leaves those below to services that are known by them.
	lowestPort = 10_000
	// portsTried outside the range of the clients' ports, before the kernel chooses one within.
	portsTried = 200
)

// open listens, and returns the address with its port.
func (at listenAt) open() (fd int32, addr string, err error) {
	if at.family == unix.AF_UNIX {
		fd, err = at.bind(0)
		return fd, "unix:" + at.path, err
	}
	port := at.port
	if port != 0 {
		fd, err = at.bind(port)
	} else {
		for _, port = range freePorts() {
			if fd, err = at.bind(port); err != unix.EADDRINUSE {
				break
			}
		}
	}
	if err != nil {
		return -1, "", err
	}
	bound, err := unix.Getsockname(int(fd))
	if err != nil {
		closeFD(fd)
		return -1, "", err
	}
	switch b := bound.(type) {
	case *unix.SockaddrInet4:
		port = uint16(b.Port)
	case *unix.SockaddrInet6:
		port = uint16(b.Port)
	}
	return fd, netip.AddrPortFrom(at.ip, port).String(), nil
}

// freePorts are ports to try in turn, from a random one on so that those who start together rarely meet. The last one is
// zero: the kernel's choice.
func freePorts() []uint16 {
	low, high := 32768, 60999 // the kernel's defaults
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		// Where it can't be read, the defaults are as good a guess as any.
		_, _ = fmt.Sscan(string(text), &low, &high)
	}
	below, above := max(low-lowestPort, 0), max(65535-max(high, lowestPort-1), 0)
	var ports []uint16
	if all := below + above; all > 0 {
		from := rand.IntN(all)
		for i := range min(portsTried, all) {
			at := (from + i) % all
			if at < below {
				ports = append(ports, uint16(lowestPort+at))
			} else {
				ports = append(ports, uint16(max(high+1, lowestPort)+at-below))
			}
		}
	}
	return append(ports, 0)
}

// bind listens at one port, or at the path. What accepted sockets inherit is set here once: no Nagle's delay, and the
// congestion control.
func (at listenAt) bind(port uint16) (int32, error) {
	fd, err := unix.Socket(at.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var sa unix.Sockaddr = &unix.SockaddrUnix{Name: at.path}
	if at.family != unix.AF_UNIX {
		sa = &unix.SockaddrInet6{Port: int(port), Addr: at.ip.As16()}
		if at.family == unix.AF_INET {
			sa = &unix.SockaddrInet4{Port: int(port), Addr: at.ip.As4()}
		}
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		// One that paces, as bbr does, arms a timer for every write. Where this one is not to be had, the host's own does.
		_ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic")
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		closeFD(int32(fd))
		return -1, err
	}
	return int32(fd), nil
}

// backlog is cut by the kernel to net.core.somaxconn.
const backlog = 1 << 16

// What follows can't block, and so goes through RawSyscall: the scheduler need not know. Errors are numbers.

func closeFD(fd int32) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// receive reads into a buffer that must not be empty.
func receive(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), errno
}

// transmit writes a buffer that must not be empty.
func transmit(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// acceptOne takes the next connection of a listener.
func acceptOne(listener int32) (int32, syscall.Errno) {
	fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int32(fd), errno
}

// shutWrite ends the sending side.
func shutWrite(fd int32) {
	_, _, _ = syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}
