package vegeta

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
)

// dialer opens connections: all of them beforehand, at the plan's pace, or, where a connection carries one request only,
// when a request needs one.
type dialer struct {
	plan    *clients.Plan
	target  *target
	count   int
	j       *journal
	ready   chan *conn // opened beforehand and not yet used; closed after the last one
	turn    atomic.Uint64
	control atomic.Pointer[string] // congestion control of the first connection
	life    context.Context        // ends with close
	cancel  context.CancelFunc
	opening sync.WaitGroup
	first   atomic.Pointer[error] // what went wrong in opening
	opened  atomic.Int64
	once    sync.Once
}

// maxOpening is how many connections are begun at once; a listener's backlog is 128 or more.
const maxOpening = 64

func newDialer(plan *clients.Plan, t *target, count int, j *journal) *dialer {
	d := &dialer{plan: plan, target: t, count: count, j: j, ready: make(chan *conn, count)}
	d.life, d.cancel = context.WithCancel(context.Background())
	return d
}

// open begins to open the connections that are kept. After the first failure the rest is left to the requests that need
// them, so that each has an outcome.
func (d *dialer) open(ctx context.Context) {
	if d.plan.Scenario.Connections.Requests > 0 {
		close(d.ready)
		return
	}
	d.j.rec.Shard(0).Wanted = int64(d.count)
	d.opening.Go(func() {
		defer close(d.ready)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(d.life, cancel)()
		var period float64
		if r := d.plan.Scenario.Connections.Rate; r > 0 {
			period = float64(d.plan.Agents) / float64(r) * 1e9
		}
		begun := procfs.Monotonic()
		var each sync.WaitGroup
		defer each.Wait()
		slots := make(chan struct{}, maxOpening)
		for i := range d.count {
			if !waitUntil(begun+int64(float64(i)*period), ctx.Done()) || d.first.Load() != nil {
				return
			}
			slots <- struct{}{}
			each.Go(func() {
				defer func() { <-slots }()
				c, err := d.connect(ctx)
				if err != nil {
					d.first.CompareAndSwap(nil, &err)
					return
				}
				d.ready <- c
			})
		}
	})
}

// wait blocks until opening is over. It is an error if nothing was opened that should have been.
func (d *dialer) wait(ctx context.Context) error {
	d.opening.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.first.Load(); err != nil && d.opened.Load() == 0 {
		return fmt.Errorf("%w: no connection could be opened; is the server listening there?", *err)
	}
	return nil
}

// dial is the transport's: a connection opened beforehand, or, when all those are used, a new one.
func (d *dialer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case c, ok := <-d.ready:
		if ok {
			return c, nil
		}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	c, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// connect opens a connection and enters it in the journal.
func (d *dialer) connect(ctx context.Context) (*conn, error) {
	nd := net.Dialer{Timeout: time.Duration(d.plan.Scenario.Timeout), KeepAlive: -1, Control: d.prepare}
	if n := uint64(len(d.target.sources)); n > 0 {
		nd.LocalAddr = &net.TCPAddr{IP: d.target.sources[(d.turn.Add(1)-1)%n]}
	}
	// The transport goes on dialling for a request that was given up.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.life, cancel)()
	begun := procfs.Monotonic()
	c, err := nd.DialContext(ctx, d.target.network, d.target.address)
	if err != nil {
		if d.target.network == "unix" && errors.Is(err, syscall.EAGAIN) { // of TCP it would mean no port
			err = fmt.Errorf("dial unix %s: its backlog is full: %w", d.target.address, syscall.ECONNREFUSED)
		}
		if d.life.Err() == nil {
			d.j.connectFailed(connectFailure(ctx, err))
		}
		return nil, err
	}
	d.j.connected(begun, procfs.Monotonic())
	d.opened.Add(1)
	d.j.open.Add(1)
	if d.plan.Scenario.Connections.Close == "rst" {
		_ = c.(*net.TCPConn).SetLinger(0) // an open TCP connection takes it
	}
	return &conn{Conn: c, open: &d.j.open}, nil
}

// prepare sets what has to be set before a socket is bound. Neither option is needed to connect.
func (d *dialer) prepare(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		// The port is chosen when connecting, and so need not be free for every other destination.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if d.control.Load() == nil {
			if s, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION); err == nil {
				d.control.Store(&s)
			}
		}
	})
}

// congestion is the congestion control that the connections have.
func (d *dialer) congestion() string {
	if s := d.control.Load(); s != nil {
		return *s
	}
	return ""
}

// close ends the opening and closes what was opened and never used.
func (d *dialer) close() {
	d.once.Do(func() {
		d.cancel()
		d.opening.Wait()
		for {
			select {
			case c, ok := <-d.ready:
				if !ok {
					return
				}
				c.Close()
			default:
				return
			}
		}
	})
}

// conn is a connection that tells the request on it of an error before the transport learns of it.
type conn struct {
	net.Conn
	mu     sync.Mutex
	broken error
	cancel context.CancelCauseFunc // of the request that waits for a reply's first byte; nil without one
	open   *atomic.Int64
	ended  sync.Once
}

// watch sets the request to be told, or nil. A connection that is broken already tells at once.
func (c *conn) watch(cancel context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	if c.broken != nil && cancel != nil {
		cancel(c.broken)
	}
}

func (c *conn) Close() error {
	c.ended.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tell(err)
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.tell(err)
	return n, err
}

func (c *conn) tell(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = err
	if c.cancel != nil {
		c.cancel(err)
	}
}
