package cases

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millrace/millrace/servers/conform/probe"
)

// usage is what a server holds.
type usage struct {
	open       float64 // connections, as it counts them
	accepted   float64 // connections so far
	goroutines float64
	files      int
}

func measure(a *probe.Attempt) (usage, error) {
	r, err := a.Server.Readings(a.Ctx)
	if err != nil {
		return usage{}, err
	}
	files, err := a.Server.Files()
	if err != nil {
		return usage{}, fmt.Errorf("counting open files: %w", err)
	}
	return usage{open: r["open"], accepted: r["accepted"], goroutines: r["goroutines"], files: files}, nil
}

// settleLimit is how long a server may take to notice that its connections are gone.
const settleLimit = 2 * time.Second

// leakRounds is how many equal rounds in a row must each add goroutines to be a leak.
const leakRounds = 5

// fileSlack is how many files may stay open for reasons of the runtime.
const fileSlack = 4

// leakless runs a round that opens n connections and checks that afterwards the server counts no connection as open
// and holds no more files and goroutines than before. A pool may keep its goroutines, and grow with how many happen to be at
// work at once, so if they stay, one of the next rounds must not add to them: a leak adds in each.
func leakless(a *probe.Attempt, n int, round func() error) error {
	if err := a.Once(a.Plain(1, false)); err != nil {
		return fmt.Errorf("before the case: %w", err)
	}
	if a.Target.Foreign {
		// What it holds can't be known.
		if err := round(); err != nil {
			return err
		}
		a.Close()
		return a.Once(a.Plain(1, false))
	}
	before, err := settle(a, usage{goroutines: 1e9, files: 1e9})
	if err != nil {
		return err
	}
	slack := float64(n/4 + 4)
	for i := range leakRounds {
		if err := round(); err != nil {
			return err
		}
		a.Close()
		limit := usage{accepted: before.accepted + float64(n), goroutines: before.goroutines + slack, files: before.files + fileSlack}
		after, err := settle(a, limit)
		if err != nil {
			return fmt.Errorf("after %d connections: %w", n, err)
		}
		if after.goroutines <= limit.goroutines {
			break
		}
		if i == leakRounds-1 {
			return fmt.Errorf("goroutines leak: %v after %d connections, %v after as many again",
				before.goroutines, n, after.goroutines)
		}
		before.goroutines, before.accepted = after.goroutines, after.accepted
	}
	if err := a.Once(a.Plain(1, false)); err != nil {
		return fmt.Errorf("after the case: %w", err)
	}
	return nil
}

// settle waits until as many connections were accepted as the limit says, none is open and the rest is within it: one that is
// still in the backlog has cost nothing yet. Too many goroutines are no error, but waited for only a short time.
func settle(a *probe.Attempt, limit usage) (usage, error) {
	started := time.Now()
	for {
		u, err := measure(a)
		if err != nil {
			return u, err
		}
		waited := time.Since(started)
		gone := u.open == 0 && u.files <= limit.files && u.accepted >= limit.accepted
		if gone && (u.goroutines <= limit.goroutines || waited > settleLimit/8) {
			return u, nil
		}
		if waited > settleLimit {
			if u.open != 0 {
				return u, fmt.Errorf("connections leak: %v still counted as open after %v", u.open, settleLimit)
			}
			if u.files <= limit.files { // it counts none that was reset before it turned to it
				return u, nil
			}
			return u, fmt.Errorf("files leak: %d still open after %v, %d before", u.files, settleLimit, limit.files-fileSlack)
		}
		a.Pause(5 * time.Millisecond)
	}
}

// idle holds 1000 connections of which all answer, before and after.
func idle(a *probe.Attempt) error {
	const n, width = 1000, 8
	return leakless(a, n, func() error {
		conns, err := a.DialMany(n)
		if err != nil {
			return err
		}
		for _, when := range []string{"first", "last"} {
			err := probe.Lanes(width, func(lane int) error {
				for i := lane; i < n; i += width {
					if err := conns[i].Exchange(a.Plain(uint64(i), false)); err != nil {
						return fmt.Errorf("%s request on connection %d of %d: %w", when, i+1, n, err)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if a.Target.Foreign {
			return nil
		}
		r, err := a.Server.Readings(a.Ctx)
		if err == nil && r["open"] != n {
			err = fmt.Errorf("%v connections counted as open, want %d", r["open"], n)
		}
		return err
	})
}

// halfCloseAfter ends the sending side right after one or several requests, some of which are still worked on: whole
// replies, as many as the server likes, then a close.
func halfCloseAfter(a *probe.Attempt) error {
	const n = 32
	p := a.Protocol
	return leakless(a, n, func() error {
		conns, err := a.DialMany(n)
		if err != nil {
			return err
		}
		return probe.Lanes(n, func(i int) error {
			requests := []probe.Request{p.Echo(1, []byte("half"))}
			switch i % 4 {
			case 1:
				requests = []probe.Request{a.Plain(1, true)}
			case 2:
				requests = numbered(p, 8, 100)
			case 3:
				requests = []probe.Request{a.Plain(1, true), p.Echo(2, []byte("behind"))}
			}
			return halfClose(conns[i], probe.Join(requests), requests)
		})
	})
}

// halfCloseBig is halfCloseAfter with replies that do not fit into a socket buffer.
func halfCloseBig(a *probe.Attempt) error {
	const n, size = 8, 512 << 10
	return leakless(a, n, func() error {
		conns, err := a.DialMany(n)
		if err != nil {
			return err
		}
		return probe.Lanes(n, func(i int) error {
			requests := numbered(a.Protocol, 2, size)
			return halfClose(conns[i], probe.Join(requests), requests)
		})
	})
}

// halfClose sends, ends the sending side and reads whole replies until the server closes.
func halfClose(c *probe.Client, data []byte, requests []probe.Request) error {
	sent := make(chan error, 1)
	go func() {
		err := c.Send(data)
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	n, err := c.Whole(requests)
	if err != nil {
		c.HangUp()
	}
	// A server that closes early may refuse the rest of the requests.
	if cause := <-sent; err == nil && n == 0 && cause != nil && !probe.IsReset(cause) && !errors.Is(cause, syscall.ENOTCONN) {
		return cause
	}
	return err
}

// halfCloseMid ends the sending side in the middle of a request: a close, at most after saying that it is malformed.
func halfCloseMid(a *probe.Attempt) error {
	const n = 32
	return leakless(a, n, func() error {
		conns, err := a.DialMany(n)
		if err != nil {
			return err
		}
		wire := a.Protocol.Echo(1, bytes.Repeat([]byte{'h'}, 32)).Wire
		return probe.Lanes(n, func(i int) error {
			at := 1 + i*(len(wire)-2)/(n-1)
			if err := conns[i].Send(wire[:at]); err != nil {
				return err
			}
			if err := conns[i].CloseWrite(); err != nil {
				return err
			}
			if err := conns[i].Refused(); err != nil {
				return fmt.Errorf("after %d of %d bytes: %w", at, len(wire), err)
			}
			return nil
		})
	})
}

// neverReads asks for megabytes, never reads a byte and hangs up.
func neverReads(a *probe.Attempt) error {
	const n, size, most = 8, 64 << 10, 32
	return leakless(a, n, func() error {
		return probe.Lanes(n, func(i int) error {
			c, err := a.DialWith(net.Dialer{Control: smallBuffers})
			if err != nil {
				return err
			}
			var sent atomic.Int64
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for id := range uint64(most) {
					if c.Send(a.Protocol.Echo(id+1, numberedBody(id+1, size)).Wire) != nil {
						return
					}
					sent.Add(1)
				}
			}()
			stalled(a, &sent)
			if i%2 == 0 {
				c.Reset()
			} else {
				c.HangUp()
			}
			<-ended
			return nil
		})
	})
}

// resets ends connections by RST at once, in the middle of a request and before a reply is read.
func resets(a *probe.Attempt) error {
	const n = 48
	return leakless(a, n, func() error {
		conns, err := a.DialMany(n)
		if err != nil {
			return err
		}
		q := a.Protocol.Echo(1, bytes.Repeat([]byte{'r'}, 2000))
		for i, c := range conns {
			if err := c.Send(q.Wire[:[]int{0, len(q.Wire) / 2, len(q.Wire)}[i%3]]); err != nil {
				return err
			}
		}
		for _, c := range conns {
			c.Reset()
		}
		return nil
	})
}

// smallBuffers makes a connection fill up after some ten kilobytes.
func smallBuffers(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		for _, option := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
			if err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 4<<10); err != nil {
				failed = err
			}
		}
	})
	if err != nil {
		return err
	}
	return failed
}
