package cases

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/millrace/millrace/servers/conform/probe"
)

// Frames of 64 KiB, 300 times a second, fill within a second or two what the sockets hold for a subscriber that does not read,
// some MiB, and its queue of 256. One that reads may be late by most of a second before it has as many.
const overflowPayload = 64 << 10

// overflowing starts a server with this way of dealing with an overflow, a subscriber that reads and another that does not yet.
func overflowing(a *probe.Attempt, how string) (quick *follower, slow *probe.Client, err error) {
	a.Target.Payload = overflowPayload
	if a.Server, err = probe.StartServer(a.Ctx, a.Patience, a.Target, "--push-rate", "300/s", "--push-queue", "256", "--push-overflow", how); err != nil {
		return nil, nil, fmt.Errorf("starting server: %w", err)
	}
	if slow, err = subscribe(a, net.Dialer{Control: smallBuffers}); err == nil {
		quick, err = follow(a, how == "drop-oldest")
	}
	return quick, slow, err
}

// pushDropOldest wants frames to be left out for a subscriber that does not read, and no one else to notice.
func pushDropOldest(a *probe.Attempt) error {
	quick, slow, err := overflowing(a, "drop-oldest")
	if a.Server != nil {
		defer a.Server.Kill()
	}
	if err != nil {
		return err
	}
	err = until(a, func(r map[string]float64) error {
		if r["dropped"] < 100 {
			return fmt.Errorf("dropped is %v with a subscriber that does not read, want more and more", r["dropped"])
		}
		return nil
	})
	if err == nil {
		err = quick.goesOn(a)
	}
	if err != nil {
		return err
	}
	var last, first, count uint64
	for last == 0 || last-first < count+50 { // until so many are missing
		p, err := next(a, slow, last, true)
		if err != nil {
			return fmt.Errorf("a slow subscriber that reads again, after %d frames: %w", count, err)
		}
		if last == 0 {
			first = p.Number
		}
		last = p.Number
		count++
	}
	return errors.Join(lostNobody(a), quick.leave())
}

// pushDisconnect wants a subscriber that does not read to be disconnected, and no one else to notice.
func pushDisconnect(a *probe.Attempt) error {
	quick, slow, err := overflowing(a, "disconnect")
	if a.Server != nil {
		defer a.Server.Kill()
	}
	if err != nil {
		return err
	}
	err = until(a, func(r map[string]float64) error {
		if r["disconnected"] != 1 || r["open"] != 1 || r["subscribers"] != 1 || r["dropped"] != 0 {
			return fmt.Errorf("disconnected is %v, open %v, subscribers %v, dropped %v with one subscriber that reads and one that does not: want 1, 1, 1, 0",
				r["disconnected"], r["open"], r["subscribers"], r["dropped"])
		}
		return nil
	})
	if err == nil {
		err = quick.goesOn(a)
	}
	if err != nil {
		return err
	}
	for last := uint64(0); ; {
		p, err := next(a, slow, last, false)
		if errors.Is(err, probe.ErrClosed) || errors.Is(err, probe.ErrPartial) {
			return quick.leave() // the last frame may have been cut: that is what disconnecting does
		}
		if err != nil {
			return fmt.Errorf("a slow subscriber that was disconnected: %w", err)
		}
		last = p.Number
	}
}

// blockedFor is how long no frame must be made to say that the server waits.
const blockedFor = 100 * time.Millisecond

// pushBlock wants the server to wait for a subscriber that does not read, and to lose nothing.
func pushBlock(a *probe.Attempt) error {
	quick, slow, err := overflowing(a, "block")
	if a.Server != nil {
		defer a.Server.Kill()
	}
	if err != nil {
		return err
	}
	if _, err := next(a, slow, 0, false); err != nil {
		return err
	}
	pushed, since := -1.0, time.Now()
	err = until(a, func(r map[string]float64) error {
		if r["pushed"] != pushed {
			pushed, since = r["pushed"], time.Now()
		}
		if time.Since(since) < blockedFor {
			return fmt.Errorf("%v frames made with a subscriber that does not read, and still more: want the server to wait", pushed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var last uint64
	for last < uint64(pushed)+20 {
		p, err := next(a, slow, last, false)
		if err != nil {
			return fmt.Errorf("a slow subscriber that reads again: %w", err)
		}
		last = p.Number
	}
	slow.HangUp()
	if err := quick.goesOn(a); err != nil {
		return err
	}
	return errors.Join(lostNobody(a, "dropped"), quick.leave())
}

// lostNobody checks that no subscriber was disconnected, and further counts that are to be zero.
func lostNobody(a *probe.Attempt, names ...string) error {
	r, err := a.Server.Readings(a.Ctx)
	for _, name := range append(names, "disconnected") {
		if err == nil && r[name] != 0 {
			err = fmt.Errorf("%s is %v, want 0", name, r[name])
		}
	}
	return err
}

// shutdownPushing sends SIGTERM while frames go out: each that was begun is whole, and the server ends.
func shutdownPushing(a *probe.Attempt) error {
	const width = 50
	all := make([]*follower, width)
	for i := range all {
		var err error
		if all[i], err = follow(a, true); err != nil {
			return err
		}
	}
	if err := probe.Lanes(width, func(lane int) error { return all[lane].goesOn(a) }); err != nil {
		return err
	}
	if err := a.Server.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("sending SIGTERM: %w", err)
	}
	if err := leaves(a); err != nil {
		return err
	}
	for _, f := range all {
		if err := <-f.ended; !errors.Is(err, probe.ErrClosed) {
			return fmt.Errorf("a subscriber at SIGTERM: %w", err)
		}
	}
	return nil
}

// rawPushCases are of push alone: what is no subscription closes the connection.
func rawPushCases() []Case {
	var list []Case
	for _, c := range frameLengths() {
		list = append(list, Case{Name: c.name, Run: refusesRaw(c.data)})
	}
	return append(list, Case{Name: "malformed/no-subscription", Run: refusesRaw([]byte("\x00\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00\x00hello"))})
}

// refusesRaw sends what is wrong and wants a close without a reply.
func refusesRaw(data []byte) func(*probe.Attempt) error {
	return func(a *probe.Attempt) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		if err := c.Send(data); err != nil {
			return err
		}
		if _, err := c.Whole(nil); err != nil {
			return fmt.Errorf("after a malformed frame: %w", err)
		}
		if err := a.Once(a.Plain(1, false)); err != nil {
			return fmt.Errorf("next connection: %w", err)
		}
		return nil
	}
}
