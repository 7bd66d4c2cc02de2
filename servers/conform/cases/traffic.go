package cases

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/servers/conform/probe"
)

// cut is how long the suite waits between two pieces, so that the server reads them one by one.
const cut = time.Millisecond

// echoes sends bodies from nothing to the largest.
func echoes(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	sizes := []int{0, 1, 1000, 64 << 10, probe.FrameMax - 8}
	for i, size := range sizes {
		if err := c.Exchange(a.Protocol.Echo(uint64(i), numberedBody(uint64(i), size))); err != nil {
			return fmt.Errorf("echo of %d bytes: %w", size, err)
		}
	}
	return c.Silence()
}

// keepAlive exchanges many requests one by one on one connection.
func keepAlive(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	for i := range uint64(300) {
		if err := c.Exchange(a.Plain(i+1, i%3 == 2)); err != nil {
			return fmt.Errorf("request %d on one connection: %w", i+1, err)
		}
	}
	return c.Silence()
}

// splitOffsets cuts two requests in a row at every offset.
func splitOffsets(a *probe.Attempt) error {
	requests := []probe.Request{a.Protocol.Echo(1, []byte("first")), a.Plain(2, false)}
	stream := probe.Join(requests)
	const width = 4
	return probe.Lanes(width, func(lane int) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		for at := 1 + lane; at < len(stream); at += width {
			if err := c.Send(stream[:at]); err != nil {
				return err
			}
			a.Pause(cut)
			if err := c.Send(stream[at:]); err != nil {
				return err
			}
			if err := c.Expect(requests); err != nil {
				return fmt.Errorf("cut at byte %d of %d: %w", at, len(stream), err)
			}
		}
		return c.Silence()
	})
}

// singleBytes sends a request byte by byte.
func singleBytes(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	q := a.Protocol.Echo(1, []byte("bytes"))
	for _, b := range q.Wire {
		if err := c.Send([]byte{b}); err != nil {
			return err
		}
		a.Pause(cut)
	}
	if err := c.Expect([]probe.Request{q}); err != nil {
		return err
	}
	return c.Silence()
}

// oneSegment sends a few requests of different kinds in one write, and then one and a half.
func oneSegment(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	p := a.Protocol
	if err := c.Exchange(a.Plain(1, false), p.Echo(2, []byte("b")), a.Plain(3, true), p.Echo(4, nil), a.Plain(5, false)); err != nil {
		return err
	}
	requests := []probe.Request{p.Echo(6, []byte("whole")), p.Echo(7, []byte("in two"))}
	stream := probe.Join(requests)
	half := len(stream) - 3
	if err := c.Send(stream[:half]); err != nil {
		return err
	}
	// The first reply may come now or with the second: the contract leaves it open, and fasthttp gathers replies.
	a.Pause(cut)
	if err := c.Send(stream[half:]); err != nil {
		return err
	}
	if err := c.Expect(requests); err != nil {
		return fmt.Errorf("one request and the beginning of another, and then its rest: %w", err)
	}
	return c.Silence()
}

// pipeline keeps 64 numbered requests unanswered, small and then larger than a socket buffer together.
func pipeline(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	for _, size := range []int{8, 4 << 10} {
		if err := c.Exchange(numbered(a.Protocol, 64, size)...); err != nil {
			return fmt.Errorf("64 requests of %d bytes: %w", size, err)
		}
	}
	return c.Silence()
}

// slowReader asks for 1000 replies of 64 KiB in a row and begins to read when nothing can be sent any more, first in
// small pieces.
func slowReader(a *probe.Attempt) error {
	const count, size = 1000, 64 << 10
	c, err := a.Dial()
	if err != nil {
		return err
	}
	var sent atomic.Int64
	failed := make(chan error, 1)
	go func() {
		for id := range uint64(count) {
			if err := c.Send(a.Protocol.Echo(id+1, numberedBody(id+1, size)).Wire); err != nil {
				failed <- fmt.Errorf("request %d of %d: %w", id+1, count, err)
				return
			}
			sent.Add(1)
		}
		failed <- nil
	}()
	stalled(a, &sent)
	c.In = bufio.NewReaderSize(&slow{in: c.TCPConn, small: 48}, size)
	if err = readNumbered(c, count, size); err != nil {
		c.HangUp()
		if cause := <-failed; cause != nil {
			return fmt.Errorf("%w; %w", err, cause)
		}
		return err
	}
	return <-failed
}

// readNumbered reads the replies to the numbered requests 1 to count, each exactly once.
func readNumbered(c *probe.Client, count, size int) error {
	seen := make([]bool, count+1)
	for i := 1; i <= count; i++ {
		r, err := c.Receive()
		if err != nil {
			return fmt.Errorf("reply %d of %d: %w", i, count, probe.Explain(err))
		}
		if c.Protocol.Ordered() {
			r.ID = uint64(i)
		}
		if r.ID < 1 || r.ID > uint64(count) || seen[r.ID] {
			return fmt.Errorf("reply %d of %d has id %#x, which is not or no longer asked for", i, count, r.ID)
		}
		seen[r.ID] = true
		want := numberedBody(r.ID, size)
		if err := (probe.Request{Want: want, Size: size}).Check(r); err != nil {
			return fmt.Errorf("reply %d of %d: %w", i, count, err)
		}
	}
	return nil
}

// stalled waits until the count has not moved for 30 ms, at most a quarter of a second.
func stalled(a *probe.Attempt, count *atomic.Int64) {
	var last int64 = -1
	for range 8 {
		now := count.Load()
		if now == last {
			return
		}
		last = now
		a.Pause(30 * time.Millisecond)
	}
}

// slow is a reader whose first reads are small and a millisecond apart.
type slow struct {
	in    io.Reader
	small int // reads left
}

func (s *slow) Read(p []byte) (int, error) {
	if s.small > 0 {
		s.small--
		time.Sleep(time.Millisecond)
		p = p[:min(len(p), 2<<10)]
	}
	return s.in.Read(p)
}

// workTakes checks that a request with work takes at least so long, each of several times, because a busy host may make
// any one of them slow, and that another does not fail.
func workTakes(least time.Duration, times uint64) func(*probe.Attempt) error {
	return func(a *probe.Attempt) error {
		for i := range times {
			c, err := a.Dial()
			if err != nil {
				return err
			}
			if err := c.Exchange(a.Plain(1, false)); err != nil {
				return fmt.Errorf("request without work: %w", err)
			}
			started := time.Now()
			if err := c.Exchange(a.Plain(i+2, true)); err != nil {
				return fmt.Errorf("request with work: %w", err)
			}
			if took := time.Since(started); took < least {
				return fmt.Errorf("a request with work of %v was answered after %v", least, took)
			}
		}
		return nil
	}
}

// workReplies sends requests with and without work in one piece: each has its own reply, in order where that is asked.
func workReplies(a *probe.Attempt) error {
	return probe.Lanes(4, func(int) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		p := a.Protocol
		if err := c.Exchange(a.Plain(1, true), p.Echo(2, []byte("two")), p.Echo(3, bytes.Repeat([]byte("3"), 5000)),
			a.Plain(4, true), p.Echo(5, []byte("five"))); err != nil {
			return err
		}
		return c.Silence()
	})
}
