package sut

import (
	"context"
	"fmt"
	"time"
)

// The guard against the kernel's own end of a process when memory is short. A trial that comes below the reserve ends: that is
// memoryReserve, or as much as is taken in reserveFor by the growth of the last second, if that is more.
const (
	memoryReserve = 512 << 20
	reserveFor    = 3 * time.Second
	memoryEvery   = 100 * time.Millisecond
)

// memoryError says that a trial must end since memory runs out.
type memoryError struct {
	server        string
	left, reserve int64
}

func (e *memoryError) Error() string {
	return fmt.Sprintf("server %s: %d MB of memory are left on this host, less than the %d MB that are kept free: take fewer connections, or a host with more memory",
		e.server, e.left>>20, e.reserve>>20)
}

// watchMemory reads how much memory is available until ctx ends, which is no error. What can't be read ends it too.
func watchMemory(ctx context.Context, server string, available func() (int64, error)) error {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	var second [time.Second / memoryEvery]int64 // the last second's readings, in turn
	for n := 0; ; n++ {
		left, err := available()
		if err != nil || left < 0 {
			return err
		}
		reserve := int64(memoryReserve)
		before := &second[n%len(second)]
		if n >= len(second) {
			reserve = max(reserve, (*before-left)*int64(reserveFor/time.Second))
		}
		*before = left
		if left < reserve {
			return &memoryError{server, left, reserve}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
