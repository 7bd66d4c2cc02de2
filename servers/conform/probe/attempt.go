package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Attempt is one case under way: its server, its limit and its connections. Safe for concurrent use.
type Attempt struct {
	Ctx      context.Context // ends at the limit of the case
	Patience time.Duration   // how long the server may leave one thing undone
	Target   Target
	Protocol Protocol
	Server   *Process // nil where the case starts what it needs
	Dir      string   // scratch

	mu    sync.Mutex
	conns []*Client
}

// Client is one connection to the server. No reply and no send takes longer than the patience, and nothing outlasts the
// attempt. It has one reader and one writer.
type Client struct {
	*net.TCPConn
	In       *bufio.Reader
	Protocol Protocol
	ctx      context.Context
	patience time.Duration
	release  func() bool
}

// Dial connects to the server of the attempt.
func (a *Attempt) Dial() (*Client, error) { return a.DialWith(net.Dialer{}) }

// greeter is a protocol whose connections begin with a handshake.
type greeter interface{ Greet(*Client) error }

// DialWith is dial with a dialer, as for small buffers.
func (a *Attempt) DialWith(d net.Dialer) (*Client, error) {
	c, err := a.DialMute(d)
	if err != nil {
		return nil, err
	}
	if p, greets := a.Protocol.(greeter); greets {
		err = p.Greet(c)
	}
	return c, err
}

// DialMute connects without the handshake that a protocol may have.
func (a *Attempt) DialMute(d net.Dialer) (*Client, error) {
	d.Timeout = a.Patience
	conn, err := d.DialContext(a.Ctx, "tcp", a.Server.Addr)
	if err != nil {
		return nil, err
	}
	c := &Client{TCPConn: conn.(*net.TCPConn), In: bufio.NewReader(conn), Protocol: a.Protocol, ctx: a.Ctx, patience: a.Patience}
	c.release = context.AfterFunc(a.Ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns = append(a.conns, c)
	return c, nil
}

// Close ends all connections that the attempt opened.
func (a *Attempt) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.conns {
		c.HangUp()
	}
	a.conns = nil
}

// HangUp closes the connection; more than once does no harm.
func (c *Client) HangUp() {
	c.release()
	_ = c.Close()
}

// Reset closes the connection with a RST.
func (c *Client) Reset() {
	_ = c.SetLinger(0)
	c.HangUp()
}

// Send writes the data.
func (c *Client) Send(data []byte) error {
	err := c.wait(c.SetWriteDeadline)
	if err == nil {
		_, err = c.Write(data)
	}
	if IsTimeout(err) {
		return fmt.Errorf("sending %d bytes: the server does not read", len(data))
	}
	if err != nil {
		return fmt.Errorf("sending %d bytes: %w", len(data), err)
	}
	return nil
}

// Receive reads one reply; see Receive of the package.
func (c *Client) Receive() (Reply, error) {
	if err := c.wait(c.SetReadDeadline); err != nil {
		return Reply{}, err
	}
	return Receive(c.Protocol, c.In)
}

// wait gives the next read or write the patience, unless the attempt has ended.
func (c *Client) wait(set func(time.Time) error) error {
	if err := set(time.Now().Add(c.patience)); err != nil {
		return err
	}
	if c.ctx.Err() != nil {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Expect reads one reply for each request and checks it: in order, or where the protocol has ids, each exactly once.
func (c *Client) Expect(requests []Request) error {
	n, err := c.WholeUpTo(requests)
	if err == nil && n < len(requests) {
		err = fmt.Errorf("after %d of %d replies: %w", n, len(requests), ErrClosed)
	}
	return err
}

// together is how many bytes are sent before the replies are read: more might not fit into the socket buffers of a
// server that waits for its replies to be taken.
const together = 16 << 10

// Exchange sends the requests in one piece, while it reads if they are large, and expects their replies.
func (c *Client) Exchange(requests ...Request) error {
	data := Join(requests)
	if len(data) <= together {
		if err := c.Send(data); err != nil {
			return err
		}
		return c.Expect(requests)
	}
	sent := make(chan error, 1)
	go func() { sent <- c.Send(data) }()
	if err := c.Expect(requests); err != nil {
		c.HangUp()
		<-sent
		return err
	}
	return <-sent
}

// Silence checks that nothing comes after the last reply, for a few milliseconds.
func (c *Client) Silence() error {
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := c.In.Peek(1); err == nil {
		extra, _ := c.In.Peek(c.In.Buffered())
		return fmt.Errorf("%d bytes after the last reply: %.40q", len(extra), extra)
	}
	return nil
}

// Whole reads replies until the server closes and returns how many came, up to the number of requests. A reply that is
// not whole, one too many, a wrong one or a connection that stays open is an error.
func (c *Client) Whole(requests []Request) (int, error) {
	n, err := c.WholeUpTo(requests)
	if err != nil || n < len(requests) {
		return n, err
	}
	_, err = c.Receive()
	if err = Explain(err); err == nil {
		return n, fmt.Errorf("%d requests and one more reply", n)
	} else if !errors.Is(err, ErrClosed) {
		return n, fmt.Errorf("after all %d replies: %w", n, err)
	}
	return n, nil
}

// WholeUpTo is Whole for a connection that may stay open after the last reply.
func (c *Client) WholeUpTo(requests []Request) (int, error) {
	pending := make(map[uint64]Request, len(requests))
	for _, q := range requests {
		pending[q.ID] = q
	}
	for n, q := range requests {
		r, err := c.Receive()
		if err = Explain(err); errors.Is(err, ErrClosed) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("after %d of %d replies: %w", n, len(requests), err)
		}
		if !c.Protocol.Ordered() {
			var known bool
			if q, known = pending[r.ID]; !known {
				return n, fmt.Errorf("reply %d of %d has id %#x, which is not or no longer asked for", n+1, len(requests), r.ID)
			}
			delete(pending, r.ID)
		}
		if err := q.Check(r); err != nil {
			return n, fmt.Errorf("reply %d of %d: %w", n+1, len(requests), err)
		}
	}
	return len(requests), nil
}

// Once makes one connection, exchanges the requests on it and hangs up.
func (a *Attempt) Once(requests ...Request) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	defer c.HangUp()
	return c.Exchange(requests...)
}

// Plain is a request for the payload, after the work if it asks for it and the server knows what that is.
func (a *Attempt) Plain(id uint64, work bool) Request {
	return a.Protocol.Plain(id, work && !a.Target.Foreign)
}

// DialMany opens n connections.
func (a *Attempt) DialMany(n int) ([]*Client, error) {
	conns := make([]*Client, n)
	for i := range conns {
		var err error
		if conns[i], err = a.Dial(); err != nil {
			return nil, fmt.Errorf("connection %d of %d: %w", i+1, n, err)
		}
	}
	return conns, nil
}

// Pause waits, or less if the attempt ends before.
func (a *Attempt) Pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-a.Ctx.Done():
	}
}

// Lanes runs f n times at once, with 0 to n−1, and returns the first error by number.
func Lanes(n int, f func(lane int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func IsReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// IsClosed reports whether the error of a read means that the server has closed.
func IsClosed(err error) bool { return errors.Is(err, io.EOF) || IsReset(err) }

// Refused reads until the server closes and accepts nothing but replies that refuse the request.
func (c *Client) Refused() error {
	for {
		r, err := c.Receive()
		if err = Explain(err); errors.Is(err, ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.Status < 400 || r.Status > 505 {
			return fmt.Errorf("answered with status %d, want 400 or a close", r.Status)
		}
		// Whoever refuses and keeps the connection sees its end.
		if err := c.CloseWrite(); err != nil {
			return nil
		}
	}
}
