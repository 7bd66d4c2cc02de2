// Package reuseport opens several listeners at one port, for models that accept in several places.
package reuseport

import (
	"context"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

// Listen opens n listeners at the address that env was asked for, each with SO_REUSEPORT. The kernel gives each of them its share
// of the connections, by a hash of their addresses. Otherwise they are set as Env.Listener sets its one.
func Listen(env *kit.Env, n int) (all []*net.TCPListener, err error) {
	addr, release, err := env.Reserve()
	if err != nil {
		return nil, err
	}
	defer release()
	config := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if err == nil {
			err = failed
		}
		return err
	}}
	config.SetMultipathTCP(false)
	for range n {
		l, err := config.Listen(context.Background(), "tcp", addr)
		if err != nil {
			for _, opened := range all {
				opened.Close()
			}
			return nil, fmt.Errorf("listening at %s: %w", addr, err)
		}
		all = append(all, l.(*net.TCPListener))
	}
	return all, nil
}
