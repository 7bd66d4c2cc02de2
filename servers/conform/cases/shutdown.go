package cases

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millrace/millrace/servers/conform/probe"
)

// leaves checks that the server ends with status 0 within the limit and has nothing of a panic to say.
func leaves(a *probe.Attempt) error {
	status, err := a.Server.Status(probe.ExitLimit)
	if err != nil {
		return err
	}
	if status != 0 {
		how, _ := a.Server.Ended()
		return fmt.Errorf("ended with %s, want exit status 0", how)
	}
	if text := a.Server.Stderr(); strings.Contains(text, "panic:") || strings.Contains(text, "goroutine 1 [") {
		return fmt.Errorf("standard error looks like a panic: %s", text)
	}
	return nil
}

// shutdownLoaded sends SIGTERM while requests flow on some connections, large ones and ones with work included, and others are idle:
// every reply is whole, and the server ends.
func shutdownLoaded(a *probe.Attempt) error {
	const busy, quiet, enough = 15, 8, 100
	conns, err := a.DialMany(busy + quiet)
	if err != nil {
		return err
	}
	for _, c := range conns {
		if err := c.Exchange(a.Plain(1, false)); err != nil {
			return err
		}
	}
	var answered atomic.Int64
	flowing := make(chan struct{})
	var once sync.Once
	results := make(chan error, 1)
	go func() {
		results <- probe.Lanes(busy, func(lane int) error {
			var requests []probe.Request
			switch lane % 3 {
			case 0:
				requests = numbered(a.Protocol, 1, 256<<10)
			case 1:
				requests = numbered(a.Protocol, 8, 100)
			case 2: // so that some are under way at any time
				requests = []probe.Request{a.Plain(1, true)}
			}
			for {
				n, err := flow(conns[lane], requests)
				if answered.Add(int64(n)) > enough {
					once.Do(func() { close(flowing) })
				}
				if err != nil || n < len(requests) {
					return err
				}
			}
		})
	}()
	select {
	case <-flowing:
	case err := <-results:
		return fmt.Errorf("before the signal: %w", err)
	case <-a.Ctx.Done():
		return errors.New("before the signal: too few requests were answered")
	}
	if err := a.Server.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("sending SIGTERM: %w", err)
	}
	if err := leaves(a); err != nil {
		return err
	}
	return <-results
}

// flow sends the requests and reads their replies; fewer than all without an error means that the server has closed.
func flow(c *probe.Client, requests []probe.Request) (int, error) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = c.Send(probe.Join(requests)) // a close shows in the replies
	}()
	n, err := c.WholeUpTo(requests)
	if n < len(requests) {
		c.HangUp()
	}
	<-sent
	return n, err
}

// shutdownWorking sends SIGTERM while the server works for a request: it is answered all the same.
func shutdownWorking(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	if err := c.Exchange(a.Plain(1, false)); err != nil {
		return err
	}
	q := a.Plain(2, true)
	if err := c.Send(q.Wire); err != nil {
		return err
	}
	// Long enough to be read, short enough to be under way: see the flags of the case.
	a.Pause(50 * time.Millisecond)
	if err := a.Server.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("sending SIGTERM: %w", err)
	}
	if err := c.Expect([]probe.Request{q}); err != nil {
		return fmt.Errorf("request in flight at SIGTERM: %w", err)
	}
	if err := leaves(a); err != nil {
		return err
	}
	if extra, err := a.Dial(); err == nil {
		extra.HangUp()
		return errors.New("still accepts connections after its end")
	}
	return nil
}

// stdinEnd ends the server's standard input while connections are open: it ends.
func stdinEnd(a *probe.Attempt) error {
	conns, err := a.DialMany(4)
	if err != nil {
		return err
	}
	for _, c := range conns {
		if err := c.Exchange(a.Plain(1, false)); err != nil {
			return err
		}
	}
	if err := a.Server.EndInput(); err != nil {
		return fmt.Errorf("ending standard input: %w", err)
	}
	return leaves(a)
}
