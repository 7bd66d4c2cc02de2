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

// loadedWork is what a request with work takes in shutdownLoaded. Some are under way when the signal comes: sent for long enough to
// be read, on a busy host as well, and with as long to go.
const (
	loadedWork   = 150 * time.Millisecond
	underWayFrom = loadedWork / 3
	underWayTo   = loadedWork * 3 / 5
)

// shutdownLoaded sends SIGTERM while requests flow on some connections, large ones included, some are worked for and other connections
// are idle: every reply is whole, and the server ends.
func shutdownLoaded(a *probe.Attempt) error {
	const flows, works, quiet = 12, 3, 8
	conns, err := a.DialMany(flows + works + quiet)
	if err != nil {
		return err
	}
	for _, c := range conns {
		if err := c.Exchange(a.Plain(1, false)); err != nil {
			return err
		}
	}
	l := &load{start: time.Now(), flowing: make(chan struct{}), sentAt: make([]atomic.Int64, works)}
	results := make(chan error, 1)
	go func() {
		results <- probe.Lanes(flows+works, func(lane int) error {
			switch {
			case lane >= flows:
				return l.work(a, conns[lane], &l.sentAt[lane-flows])
			case lane%2 == 0:
				return l.flow(conns[lane], numbered(a.Protocol, 1, 256<<10))
			}
			return l.flow(conns[lane], numbered(a.Protocol, 8, 100))
		})
	}()
	select {
	case <-l.flowing:
	case err := <-results:
		return fmt.Errorf("before the signal: %w", err)
	case <-a.Ctx.Done():
		return errors.New("before the signal: too few requests were answered")
	}
	// A server that does no work is found by others.
	for until := time.Now().Add(a.Patience); !l.underWay() && time.Now().Before(until) && a.Ctx.Err() == nil; {
		a.Pause(underWayFrom / 10)
	}
	if err := a.Server.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("sending SIGTERM: %w", err)
	}
	if err := leaves(a); err != nil {
		return err
	}
	return <-results
}

// load is what flows while a server is told to end.
type load struct {
	start    time.Time
	answered atomic.Int64
	once     sync.Once
	flowing  chan struct{}  // closed when enough has been answered
	sentAt   []atomic.Int64 // ns from start on, when what is worked for was sent; zero before the first
}

// enoughAnswered shows that the requests flow.
const enoughAnswered = 100

// flow sends the requests again and again until the server closes.
func (l *load) flow(c *probe.Client, requests []probe.Request) error {
	for {
		n, err := flow(c, requests)
		if l.answered.Add(int64(n)) > enoughAnswered {
			l.once.Do(func() { close(l.flowing) })
		}
		if err != nil || n < len(requests) {
			return err
		}
	}
}

// work asks for work again and again, from when the others flow until the server closes.
func (l *load) work(a *probe.Attempt, c *probe.Client, sentAt *atomic.Int64) error {
	select {
	case <-l.flowing:
	case <-a.Ctx.Done():
		return nil
	}
	for {
		sentAt.Store(int64(time.Since(l.start)))
		if n, err := flow(c, []probe.Request{a.Plain(1, true)}); err != nil || n < 1 {
			return err
		}
	}
}

// underWay reports whether the server works for a request now.
func (l *load) underWay() bool {
	now := time.Since(l.start)
	for i := range l.sentAt {
		if at := time.Duration(l.sentAt[i].Load()); at > 0 && now-at >= underWayFrom && now-at <= underWayTo {
			return true
		}
	}
	return false
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
