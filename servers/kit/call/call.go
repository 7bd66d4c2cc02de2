// Package call is what a server does for a request whose work is a call: it asks a slow dependency over tcp or http, or puts
// the request's body to an S3-compatible store. It costs every model the same.
package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

const (
	// callTimeout bounds a call, waiting for a connection included: longer than scenarios let a downstream stall, so that a
	// stall is waited for, and short enough that a handler never hangs.
	callTimeout = 30 * time.Second
	// maxCalls is how many calls may be under way at once, each on a connection of its own, the same for every model. It is
	// less than half of the 20 000 files that a process commonly may open, so that as many connections of clients fit beside
	// them, and far beyond the pools of the models. What waits for one of them is counted.
	maxCalls = 8192
	// idleFor is how long a connection to the downstream may be unused before it is closed: a surge's connections are gone
	// soon after it.
	idleFor = 5 * time.Second
	// maxReply bounds what is read of an http reply's body, so that its connection can be used again.
	maxReply = 64 << 10
)

// Caller calls the downstream. It is safe for any number of goroutines.
type Caller struct {
	begun, answered, failed, waited atomic.Int64

	timeout  time.Duration
	slots    chan struct{} // one is taken by each call under way
	exchange func(n uint64, body []byte, deadline time.Time) error
}

// Counts are of calls, cumulative. Those under way are Begun − Answered − Failed.
type Counts struct {
	Begun, Answered, Failed int64
	// Waited counts calls that had to wait since maxCalls were under way.
	Waited int64
}

// Counts returns the counts so far.
func (c *Caller) Counts() Counts {
	n := Counts{Answered: c.answered.Load(), Failed: c.failed.Load(), Waited: c.waited.Load()}
	n.Begun = c.begun.Load() // last, so that calls under way are never negative
	return n
}

// New returns the caller of work of the kinds downstream and upload, with a URL. It connects when it is first used.
func New(spec scenarios.WorkSpec) (*Caller, error) {
	c := &Caller{timeout: callTimeout, slots: make(chan struct{}, maxCalls)}
	u := spec.URL
	switch {
	case u == nil:
		return nil, fmt.Errorf("%s: want %s=URL: a run puts the address of bin/downstream in, by hand it is yours to name", spec.Kind, spec.Kind)
	case spec.Kind == scenarios.WorkUpload:
		s, err := newStore(u)
		if err != nil {
			return nil, err
		}
		c.exchange = s.put
	case u.Scheme == "tcp":
		if u.Port() == "" {
			return nil, fmt.Errorf("downstream %q: want a port, such as tcp://127.0.0.1:9000", u)
		}
		c.exchange = (&links{addr: u.Host}).call
	default:
		client, url := newClient(), u.String()
		c.exchange = func(_ uint64, _ []byte, deadline time.Time) error {
			return exchangeHTTP(client, deadline, http.MethodGet, url, nil, nil)
		}
	}
	return c, nil
}

// Do makes one call on the calling goroutine, which waits in a socket for the reply. body is what an upload puts; it is not
// kept. An error is counted.
func (c *Caller) Do(body []byte) error {
	n := uint64(c.begun.Add(1))
	deadline := time.Now().Add(c.timeout)
	err := c.enter(deadline)
	if err == nil {
		err = c.exchange(n, body, deadline)
		<-c.slots
	}
	if err != nil {
		c.failed.Add(1)
		return fmt.Errorf("calling the downstream: %w", err)
	}
	c.answered.Add(1)
	return nil
}

var errCrowded = errors.New("as many calls as may be are under way, and none ended in time")

func (c *Caller) enter(deadline time.Time) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	c.waited.Add(1)
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return errCrowded
	}
}

// links are the connections to a downstream that speaks frames, one call at a time on each. The zero value has none.
type links struct {
	addr string

	mu   sync.Mutex
	idle []*link // the one used last at the end
}

type link struct {
	net.Conn
	buf   [wire.FrameHead]byte
	since time.Time // idle
}

// call sends a frame without a body and waits for its echo. After an error all idle connections are closed: the downstream is
// gone, or has reset them.
func (l *links) call(n uint64, _ []byte, deadline time.Time) error {
	k, err := l.take(deadline)
	if err != nil {
		return err
	}
	if err := k.call(n, deadline); err != nil {
		k.Close()
		l.mu.Lock()
		idle := l.idle
		l.idle = nil
		l.mu.Unlock()
		for _, k := range idle {
			k.Close()
		}
		return err
	}
	l.put(k)
	return nil
}

func (l *links) take(deadline time.Time) (*link, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		k := l.idle[n-1]
		l.idle[n-1] = nil
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return k, nil
	}
	l.mu.Unlock()
	d := net.Dialer{Deadline: deadline, KeepAlive: -1}
	c, err := d.DialContext(context.Background(), "tcp", l.addr)
	if err != nil {
		return nil, err
	}
	return &link{Conn: c}, nil
}

// put keeps k, and closes the connections that have been idle for too long.
func (l *links) put(k *link) {
	k.since = time.Now()
	l.mu.Lock()
	old := 0
	for old < len(l.idle) && k.since.Sub(l.idle[old].since) > idleFor {
		old++
	}
	var over []*link
	if old > 0 {
		over = append(over, l.idle[:old]...)
		kept := copy(l.idle, l.idle[old:])
		clear(l.idle[kept:])
		l.idle = l.idle[:kept]
	}
	l.idle = append(l.idle, k)
	l.mu.Unlock()
	for _, k := range over {
		k.Close()
	}
}

func (k *link) call(n uint64, deadline time.Time) error {
	if err := k.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := k.Write(wire.AppendFrame(k.buf[:0], n, nil)); err != nil {
		return err
	}
	if _, err := io.ReadFull(k, k.buf[:]); err != nil {
		return err
	}
	if id, body, _, err := wire.ParseFrame(k.buf[:]); err != nil || id != n || len(body) > 0 {
		return fmt.Errorf("frame %d was answered with % x: want an echo", n, k.buf)
	}
	return nil
}

// newClient returns a client whose pool holds as many connections as calls need, and otherwise is as net/http's default.
func newClient() *http.Client {
	dialer := net.Dialer{KeepAlive: -1}
	return &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: maxCalls, IdleConnTimeout: idleFor, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchangeHTTP sends a request and reads its reply; one that is not 2xx is an error. It copies body, which net/http may read
// for a moment longer than the exchange.
func exchangeHTTP(client *http.Client, deadline time.Time, method, url string, body []byte, sign func(*http.Request)) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	var content io.Reader = http.NoBody
	if len(body) > 0 {
		content = bytes.NewReader(bytes.Clone(body))
	}
	r, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return err
	}
	if sign != nil {
		sign(r)
	}
	reply, err := client.Do(r)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(reply.Body, maxReply)); err != nil {
		return err
	}
	if reply.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: status %s: want 2xx", method, url, strconv.Itoa(reply.StatusCode))
	}
	return nil
}
