package reflect

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients/reactor/sys"
)

// waker is the poller of a reflector's thread, with the listening socket in it and an event by which others stop the thread.
type waker struct {
	poll    *sys.Poller
	wake    int32 // eventfd
	stopped atomic.Bool
}

// open takes over the listening socket if there is no error. Its events have the index ofListener, those of stop ofStop.
func (w *waker) open(listener int32) error {
	var err error
	if w.poll, err = sys.NewPoller(loopEvents); err != nil {
		return fmt.Errorf("opening epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		w.poll.Close()
		return fmt.Errorf("opening eventfd: %w", err)
	}
	w.wake = int32(wake)
	for fd, index := range map[int32]int32{listener: ofListener, w.wake: ofStop} {
		if errno := w.poll.Add(fd, index, 0); errno != 0 {
			w.poll.Close()
			sys.Close(w.wake)
			return fmt.Errorf("registering with epoll: %w", errno)
		}
	}
	return nil
}

// stop makes the thread's run return. It may be called by any goroutine, once.
func (w *waker) stop() {
	w.stopped.Store(true)
	one := [8]byte{1} // in either order of bytes more than zero
	// Of an eventfd it can fail only when that is full, and then it wakes as well.
	_, _ = unix.Write(int(w.wake), one[:])
}
