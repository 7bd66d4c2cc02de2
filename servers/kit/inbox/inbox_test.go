package inbox

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A loop that waits in epoll gets every value once, whoever puts it and whenever.
func TestLoopGetsEverything(t *testing.T) {
	const putters, each = 4, 5000
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(epoll)
	box, err := New[int](epoll)
	if err != nil {
		t.Fatal(err)
	}
	var putting sync.WaitGroup
	for p := range putters {
		putting.Go(func() {
			for n := range each {
				box.Put(p*each + n)
			}
		})
	}
	last := [putters]int{}
	events := make([]unix.EpollEvent, 1)
	for got := 0; got < putters*each; {
		n, err := unix.EpollWait(epoll, events, 10_000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 || int(events[0].Fd) != box.FD() {
			t.Fatalf("after %d values: %d events, %v", got, n, err)
		}
		for _, v := range box.Take() {
			if p := v / each; v%each != last[p] {
				t.Fatalf("value %d of putter %d came when %d was due", v%each, p, last[p])
			} else {
				last[p]++
			}
			got++
		}
	}
	putting.Wait()
	if left := box.Take(); len(left) > 0 {
		t.Errorf("%d values more than were put", len(left))
	}
}
