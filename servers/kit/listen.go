package kit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func checkAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err == nil && host != "" && host != "localhost" {
		_, err = netip.ParseAddr(host)
	}
	if err != nil {
		return fmt.Errorf("address %q: want HOST:PORT with an IP address or localhost, and a port from 0 to 65535", addr)
	}
	return nil
}

// Listener opens the listener of models that accept through Go's net. Its settings are what every model must have:
// TCP_NODELAY on accepted connections (Go sets it), no keep-alive probes, a backlog of net.core.somaxconn (Go reads it), plain
// TCP and not Multipath TCP, which Go listens with by default and no other framework does.
func (e *Env) Listener(ctx context.Context) (*net.TCPListener, error) {
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, "tcp", e.Listen)
	if err != nil {
		return nil, listenError(e.Listen, err)
	}
	return l.(*net.TCPListener), nil
}

// listenError names the address and the remedy.
func listenError(addr string, err error) error {
	var sys syscall.Errno
	if !errors.As(err, &sys) {
		return fmt.Errorf("listening at %s: %w", addr, err)
	}
	remedy := ""
	switch sys {
	case syscall.EADDRINUSE:
		remedy = ": another program holds the port; end it, or take a free one with --listen 127.0.0.1:0"
	case syscall.EACCES:
		remedy = ": take a port from 1024 on, or 0 for a free one"
	case syscall.EADDRNOTAVAIL:
		remedy = ": no interface of this host has the address; see `ip address`"
	}
	return fmt.Errorf("listening at %s: %w%s", addr, sys, remedy)
}

// Reserve turns the address asked for into one with a concrete port, for frameworks that open their own listeners,
// perhaps several. It binds the port with SO_REUSEADDR and SO_REUSEPORT and does not listen, so that no connection ends up
// here. A framework that sets one of the two can bind beside it; call release once it listens. One that sets neither needs
// release first. A port that others listen at is an error as in Listener.
func (e *Env) Reserve() (addr string, release func(), err error) {
	resolved, err := net.ResolveTCPAddr("tcp", e.Listen)
	if err != nil {
		return "", nil, fmt.Errorf("listening at %s: %w", e.Listen, err)
	}
	ap := resolved.AddrPort()
	domain, sa := sockaddr(ap)
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("reserving port: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return "", nil, fmt.Errorf("reserving port: %w", err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return "", nil, listenError(e.Listen, err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return "", nil, fmt.Errorf("reserving port: %w", err)
	}
	port := ap.Port()
	switch b := bound.(type) {
	case *unix.SockaddrInet4:
		port = uint16(b.Port)
	case *unix.SockaddrInet6:
		port = uint16(b.Port)
	}
	host := ap.Addr().Unmap()
	if !host.IsValid() {
		host = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(host, port).String(), func() { unix.Close(fd) }, nil
}

func sockaddr(ap netip.AddrPort) (domain int, sa unix.Sockaddr) {
	addr := ap.Addr().Unmap()
	if addr.Is6() {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: addr.As16()}
	}
	inet := &unix.SockaddrInet4{Port: int(ap.Port())}
	if addr.Is4() {
		inet.Addr = addr.As4()
	}
	return unix.AF_INET, inet
}
