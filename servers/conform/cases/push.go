package cases

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/conform/probe"
)

// pushCases are those of servers that send on their own, over push and ws alike.
func pushCases() []Case {
	list := []Case{
		{Name: "push/frames", Own: true, Args: pushes("100/s"), Run: pushFrames},
		{Name: "push/same-to-all", Own: true, Args: pushes("100/s"), Run: pushSame},
		{Name: "push/pieces", Own: true, Args: pushes("100/s"), Run: pushPieces},
		{Name: "push/heartbeat", Own: true, Args: pushes("100/s"), Run: pushHeartbeat},
		{Name: "push/unasked", Own: true, Args: pushes("100/s"), Run: pushUnasked},
		{Name: "push/leaving", Own: true, Contract: true, Args: pushes("100/s"), Run: pushLeaving},
		{Name: "push/half-close", Own: true, Args: pushes("100/s"), Run: pushHalfClose},
		{Name: "push/hang-up", Own: true, Args: pushes("100/s"), Run: pushHangUp},
		{Name: "push/many", Own: true, Contract: true, Args: pushes("20/s"), Run: pushMany},
		{Name: "push/counters", Own: true, Contract: true, Args: pushes("100/s"), Run: pushCounters},
		{Name: "push/drop-oldest", Self: true, Contract: true, Run: pushDropOldest},
		{Name: "push/disconnect", Self: true, Contract: true, Run: pushDisconnect},
		{Name: "push/block", Self: true, Contract: true, Run: pushBlock},
		{Name: "shutdown/subscribers", Own: true, Contract: true, Ends: true, Args: pushes("100/s"), Run: shutdownPushing},
	}
	for i := range list {
		list[i].Pushing = true
	}
	return list
}

func pushes(rate string) []string { return []string{"--push-rate", rate} }

// subscribe opens a connection that subscribes.
func subscribe(a *probe.Attempt, d net.Dialer) (*probe.Client, error) {
	c, err := a.DialWith(d)
	if err != nil {
		return nil, err
	}
	return c, c.Send(a.Protocol.(probe.Subscriber).Subscribe("").Wire)
}

// next reads a frame and checks what can be known of it. last is the number of the one before, 0 for none; gaps says whether
// numbers may be left out.
func next(a *probe.Attempt, c *probe.Client, last uint64, gaps bool) (probe.Pushed, error) {
	p, err := c.Pushed()
	switch {
	case err != nil:
		return p, err
	case last > 0 && (p.Number <= last || !gaps && p.Number != last+1):
		return p, fmt.Errorf("frame %d behind frame %d", p.Number, last)
	case a.Target.Payload >= 0 && !bytes.Equal(p.Payload, wire.Payload(a.Target.Payload)):
		return p, fmt.Errorf("frame %d: payload %.40q of %d bytes, want %.40q of %d", p.Number, p.Payload, len(p.Payload),
			wire.Payload(a.Target.Payload), a.Target.Payload)
	}
	return p, nil
}

// read reads some frames, each one more than the last.
func read(a *probe.Attempt, c *probe.Client, n int) (frames []probe.Pushed, err error) {
	var last uint64
	for i := range n {
		p, err := next(a, c, last, false)
		if err != nil {
			return frames, fmt.Errorf("frame %d of %d: %w", i+1, n, err)
		}
		last, frames = p.Number, append(frames, p)
	}
	return frames, nil
}

// monotonic is CLOCK_MONOTONIC in ns.
func monotonic() int64 {
	const clockMonotonic = 1
	var ts syscall.Timespec
	if _, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0); e != 0 {
		panic(e)
	}
	return ts.Nano()
}

// pushFrames looks at what one subscriber gets: numbers, clocks, payloads, and the rate.
func pushFrames(a *probe.Attempt) error {
	before := monotonic()
	c, err := subscribe(a, net.Dialer{})
	if err != nil {
		return err
	}
	const n = 30
	frames, err := read(a, c, n)
	if err != nil {
		return err
	}
	after := monotonic()
	for _, p := range frames {
		if p.Clock < before || p.Clock > after {
			return fmt.Errorf("frame %d: clock %d, which is not between the subscription, %d, and now, %d", p.Number, p.Clock, before, after)
		}
		before = p.Clock
	}
	// 29 periods of 10 ms, of which the first frames may have been late.
	if took := time.Duration(frames[n-1].Clock - frames[0].Clock); !a.Target.Foreign && took < 100*time.Millisecond {
		return fmt.Errorf("%d frames within %v at 100/s", n, took)
	}
	return nil
}

// pushSame holds what several subscribers get of a frame against each other.
func pushSame(a *probe.Attempt) error {
	const width, n = 4, 20
	conns, last := make([]*probe.Client, width), make([]uint64, width)
	for i := range conns {
		var err error
		if conns[i], err = subscribe(a, net.Dialer{}); err != nil {
			return err
		}
		first, err := next(a, conns[i], 0, false)
		if err != nil {
			return err
		}
		last[i] = first.Number
	}
	until := slices.Max(last) + n
	clocks := make([]map[uint64]int64, width)
	err := probe.Lanes(width, func(lane int) error {
		clocks[lane] = make(map[uint64]int64)
		for last[lane] < until {
			p, err := next(a, conns[lane], last[lane], false)
			if err != nil {
				return err
			}
			last[lane], clocks[lane][p.Number] = p.Number, p.Clock
		}
		return nil
	})
	if err != nil {
		return err
	}
	for number := until - n + 1; number <= until; number++ {
		for lane := 1; lane < width; lane++ {
			if one, other := clocks[0][number], clocks[lane][number]; one != other {
				return fmt.Errorf("frame %d has clock %d for one subscriber and %d for another", number, one, other)
			}
		}
	}
	return nil
}

// pushPieces subscribes byte by byte, and to a channel with a name.
func pushPieces(a *probe.Attempt) error {
	return probe.Lanes(2, func(lane int) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		for _, b := range a.Protocol.(probe.Subscriber).Subscribe([]string{"", "news"}[lane]).Wire {
			if err := c.Send([]byte{b}); err != nil {
				return err
			}
			a.Pause(cut)
		}
		_, err = read(a, c, 3)
		return err
	})
}

// heartbeat is an empty frame, or a message with an id alone.
func heartbeat(a *probe.Attempt) []byte {
	if a.Target.Protocol == "ws" {
		return probe.Message(probe.Fin|probe.OpBinary, [4]byte{1, 2, 3, 4}, make([]byte, 8))
	}
	return binary.BigEndian.AppendUint64([]byte{0, 0, 0, 8}, 0)
}

// pushHeartbeat sends empty frames before and after the subscription, which nothing answers.
func pushHeartbeat(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	if err := c.Send(heartbeat(a)); err != nil {
		return err
	}
	if err := c.Send(a.Protocol.(probe.Subscriber).Subscribe("").Wire); err != nil {
		return err
	}
	var last uint64
	for i := range 10 {
		p, err := next(a, c, last, false)
		if err != nil {
			return fmt.Errorf("after %d heartbeats: %w", i+1, err)
		}
		last = p.Number
		if err := c.Send(heartbeat(a)); err != nil {
			return err
		}
	}
	return nil
}

// pushUnasked has two connections, and one of them subscribes: the other gets nothing.
func pushUnasked(a *probe.Attempt) error {
	quiet, err := a.Dial()
	if err != nil {
		return err
	}
	c, err := subscribe(a, net.Dialer{})
	if err != nil {
		return err
	}
	if _, err := read(a, c, 10); err != nil {
		return err
	}
	if err := quiet.Silence(); err != nil {
		return fmt.Errorf("a connection that did not subscribe: %w", err)
	}
	return nil
}

// pushLeaving ends some of several subscribers' connections: the others miss nothing.
func pushLeaving(a *probe.Attempt) error {
	const width, leave = 6, 3
	conns := make([]*probe.Client, width)
	for i := range conns {
		var err error
		if conns[i], err = subscribe(a, net.Dialer{}); err != nil {
			return err
		}
	}
	err := probe.Lanes(width, func(lane int) error {
		c := conns[lane]
		if lane >= leave {
			_, err := read(a, c, 40)
			return err
		}
		_, err := read(a, c, 5)
		if lane == 0 {
			c.Reset()
		} else {
			c.HangUp()
		}
		return err
	})
	if err != nil {
		return err
	}
	return until(a, func(r map[string]float64) error {
		if r["subscribers"] != width-leave {
			return fmt.Errorf("%v subscribers counted, want %d: %d of %d have left", r["subscribers"], width-leave, leave, width)
		}
		return nil
	})
}

// pushHalfClose ends the sending side of a subscriber: frames go on or the server closes, and none is cut.
func pushHalfClose(a *probe.Attempt) error {
	c, err := subscribe(a, net.Dialer{})
	if err != nil {
		return err
	}
	if _, err := read(a, c, 1); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if _, err := read(a, c, 10); err != nil && !errors.Is(err, probe.ErrClosed) {
		return err
	}
	return nil
}

// pushHangUp ends subscribers in every way: nothing of them is left.
func pushHangUp(a *probe.Attempt) error {
	const n = 48
	return leakless(a, n, func() error {
		conns := make([]*probe.Client, n)
		for i := range conns {
			var err error
			if conns[i], err = subscribe(a, net.Dialer{}); err != nil {
				return err
			}
		}
		if _, err := read(a, conns[n-1], 2); err != nil {
			return err
		}
		for i, c := range conns {
			if i%2 == 0 {
				c.Reset()
			} else {
				c.HangUp()
			}
		}
		return nil
	})
}

// pushMany has 1000 subscribers.
func pushMany(a *probe.Attempt) error {
	const n, width = 1000, 8
	return leakless(a, n, func() error {
		conns := make([]*probe.Client, n)
		for i := range conns {
			var err error
			if conns[i], err = subscribe(a, net.Dialer{}); err != nil {
				return fmt.Errorf("subscriber %d of %d: %w", i+1, n, err)
			}
		}
		err := probe.Lanes(width, func(lane int) error {
			for i := lane; i < n; i += width {
				if _, err := read(a, conns[i], 3); err != nil {
					return fmt.Errorf("subscriber %d of %d: %w", i+1, n, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r, err := a.Server.Readings(a.Ctx)
		if err == nil && r["subscribers"] != n {
			err = fmt.Errorf("%v subscribers counted, want %d", r["subscribers"], n)
		}
		return err
	})
}

// pushCounters compares what the server counts with what came.
func pushCounters(a *probe.Attempt) error {
	const width, n = 2, 20
	err := probe.Lanes(width, func(int) error {
		c, err := subscribe(a, net.Dialer{})
		if err != nil {
			return err
		}
		_, err = read(a, c, n)
		return err
	})
	if err != nil {
		return err
	}
	a.Close()
	return until(a, func(r map[string]float64) error {
		switch {
		case r["subscribers"] != 0 || r["open"] != 0:
			return fmt.Errorf("subscribers is %v and open %v after all have left", r["subscribers"], r["open"])
		case r["pushed"] < n || r["delivered"] < width*n || r["delivered"] > width*r["pushed"]:
			return fmt.Errorf("pushed is %v and delivered %v: %d subscribers have read %d frames each", r["pushed"], r["delivered"], width, n)
		case r["dropped"] != 0 || r["disconnected"] != 0 || r["handled"] != 0:
			return fmt.Errorf("dropped is %v, disconnected %v, handled %v: want 0", r["dropped"], r["disconnected"], r["handled"])
		case a.Target.Payload >= 0 && r["body_bytes_out"] != r["delivered"]*float64(8+a.Target.Payload):
			return fmt.Errorf("body_bytes_out is %v for %v frames with a payload of %d", r["body_bytes_out"], r["delivered"], a.Target.Payload)
		}
		return nil
	})
}
