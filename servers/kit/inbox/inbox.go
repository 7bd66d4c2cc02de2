// Package inbox is how other goroutines reach an event loop that waits in epoll.
package inbox

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Inbox holds what was put for the loop, and an eventfd to wake it with. Any goroutine may put; Take is the loop's.
type Inbox[T any] struct {
	fd int

	mu     sync.Mutex // guards values
	values []T
	spare  []T // of the loop: what Take returned last
}

// New returns an empty inbox that wakes the loop of an epoll descriptor. Its events carry the number of FD. They are
// edge-triggered, so that nothing need be read.
func New[T any](epoll int) (*Inbox[T], error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("making an eventfd: %w", err)
	}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watching an eventfd: %w", err)
	}
	return &Inbox[T]{fd: fd}, nil
}

// FD is the descriptor that tells the loop to Take.
func (i *Inbox[T]) FD() int { return i.fd }

// Put leaves a value. It does not wait, and wakes the loop where there was none before.
func (i *Inbox[T]) Put(v T) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.values = append(i.values, v); len(i.values) == 1 {
		unix.Write(i.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails when 2⁶⁴ have been written
	}
}

// Take returns what was put since the last Take, in order, until the next.
func (i *Inbox[T]) Take() []T {
	clear(i.spare)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.values, i.spare = i.spare[:0], i.values
	return i.spare
}
