// Package reflect holds servers with scripted delays and faults: the known answers that load engines are tested and
// calibrated against. They run in the process of the test, on loopback.
package reflect

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/wire"
)

// Script is what a Reflector does. The zero value, with a Protocol, answers every request at once.
type Script struct {
	Protocol string // "http1" or "frame"
	// Host is the address to listen on, 127.0.0.1 by default.
	Host string
	// Body of http1 replies to requests without one of their own; frames and bodies are echoed.
	Body []byte
	// Status of http1 replies, 200 by default.
	Status int
	// Delay between a request and its reply. It delays nothing else on other connections.
	Delay time.Duration
	// WorkDelay is added for requests that ask for work.
	WorkDelay time.Duration
	// The server answers nothing from FreezeAt after the first request on, for FreezeFor.
	FreezeAt, FreezeFor time.Duration
	// CloseAfter closes a connection after so many replies, without saying so before. Zero never does.
	CloseAfter int
	// Fault is one of Faults, or empty. It befalls every Every-th request of a connection, by default each.
	Fault string
	Every int
}

// The faults: what the server does instead of its reply.
const (
	FaultSilent    = "silent"     // nothing
	FaultReset     = "reset"      // resets the connection
	FaultClose     = "close"      // closes it
	FaultShort     = "short"      // half of the reply, then closes
	FaultWrongBody = "wrong-body" // a body of the right length and other bytes
	FaultGarbage   = "garbage"    // bytes that are no reply
	FaultStranger  = "stranger"   // frame: the reply to a request that nobody sent; http1: a second reply behind it
	FaultBytewise  = "bytewise"   // a good reply, one byte at a time
	FaultChunked   = "chunked"    // http1: a good reply in chunks
	FaultToEOF     = "to-eof"     // http1: a good reply that ends with the connection
	FaultBackwards = "backwards"  // frame: good replies, the last request of those at hand first
)

// Faults is the closed set of them.
var Faults = []string{
	FaultSilent, FaultReset, FaultClose, FaultShort, FaultWrongBody, FaultGarbage, FaultStranger, FaultBytewise, FaultChunked,
	FaultToEOF, FaultBackwards,
}

// Reflector is a running server. Its methods may be called by any goroutine.
type Reflector struct {
	// Accepted, Handled and Worked count connections, whole requests, and those that asked for work.
	Accepted, Handled, Worked atomic.Int64

	script   Script
	listener net.Listener
	first    atomic.Int64 // when the first request came, ns after started
	started  time.Time
	done     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
}

// Start listens on a free port and serves until Close.
func Start(s Script) (*Reflector, error) {
	if s.Fault != "" && !slices.Contains(Faults, s.Fault) {
		return nil, fmt.Errorf("starting reflector: fault %q: want one of %s", s.Fault, strings.Join(Faults, ", "))
	}
	if s.Host == "" {
		s.Host = "127.0.0.1"
	}
	if s.Status == 0 {
		s.Status = 200
	}
	s.Every = max(s.Every, 1)
	l, err := net.Listen("tcp", net.JoinHostPort(s.Host, "0"))
	if err != nil {
		return nil, fmt.Errorf("starting reflector: %w", err)
	}
	r := &Reflector{script: s, listener: l, started: time.Now(), done: make(chan struct{}), conns: make(map[net.Conn]bool)}
	r.wg.Go(r.accept)
	return r, nil
}

// URL is where the reflector answers.
func (r *Reflector) URL() string {
	scheme := map[string]string{"http1": "http", "frame": "frame"}[r.script.Protocol]
	return scheme + "://" + r.listener.Addr().String()
}

// Close stops listening, closes all connections and waits for everything to end.
func (r *Reflector) Close() error {
	close(r.done)
	err := r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close() // its goroutine sees the error
	}
	r.mu.Unlock()
	r.wg.Wait()
	return err
}

func (r *Reflector) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.Accepted.Add(1)
		r.mu.Lock()
		r.conns[c] = true
		r.mu.Unlock()
		r.wg.Go(func() {
			// What ends a connection is seen by its client.
			_ = r.serve(c)
			_ = c.Close()
			r.mu.Lock()
			delete(r.conns, c)
			r.mu.Unlock()
		})
	}
}

// maxRequest is the most bytes of a request that a reflector takes. Larger ones end the connection.
const maxRequest = 16 << 10

// errEnd ends a connection as the script says.
var errEnd = errors.New("the script ends the connection")

// serve answers the requests of one connection, those at hand together.
func (r *Reflector) serve(c net.Conn) error {
	in := bufio.NewReaderSize(c, maxRequest)
	p := parser{frame: r.script.Protocol == "frame"}
	for n := 0; ; {
		var batch []request
		for {
			q, err := p.next(in, len(batch) == 0)
			if err != nil {
				return err
			}
			if q == nil {
				break
			}
			batch = append(batch, *q)
		}
		if r.script.Fault == FaultBackwards {
			slices.Reverse(batch)
		}
		for i := range batch {
			n++
			if err := r.answer(c, &batch[i], n); err != nil {
				return err
			}
		}
	}
}

// answer waits as scripted and replies to request n of a connection.
func (r *Reflector) answer(c net.Conn, q *request, n int) error {
	r.Handled.Add(1)
	delay := r.script.Delay
	if q.work {
		r.Worked.Add(1)
		delay += r.script.WorkDelay
	}
	if err := r.pause(delay); err != nil {
		return err
	}
	if err := r.frozen(); err != nil {
		return err
	}
	reply := r.reply(q)
	if r.script.Fault != "" && n%r.script.Every == 0 {
		return r.misbehave(c, q, reply)
	}
	if _, err := c.Write(reply); err != nil {
		return err
	}
	if q.close || r.script.CloseAfter > 0 && n >= r.script.CloseAfter {
		return errEnd
	}
	return nil
}

func (r *Reflector) reply(q *request) []byte {
	if r.script.Protocol == "frame" {
		return wire.AppendFrame(nil, q.id, q.body)
	}
	return wire.AppendResponse(nil, r.script.Status, r.bodyOf(q), q.close)
}

func (r *Reflector) bodyOf(q *request) []byte {
	if len(q.body) > 0 {
		return q.body
	}
	return r.script.Body
}

// frozen waits for the end of the freeze, if it is under way.
func (r *Reflector) frozen() error {
	if r.script.FreezeFor == 0 {
		return nil
	}
	now := time.Since(r.started)
	r.first.CompareAndSwap(0, int64(now))
	since := now - time.Duration(r.first.Load())
	if since < r.script.FreezeAt {
		return nil
	}
	return r.pause(r.script.FreezeAt + r.script.FreezeFor - since)
}

// pause waits, unless the reflector is closed before.
func (r *Reflector) pause(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.done:
		return errEnd
	}
}

// misbehave does what the fault says. A nil error leaves the connection open.
func (r *Reflector) misbehave(c net.Conn, q *request, reply []byte) error {
	write := func(b []byte, then error) error {
		if _, err := c.Write(b); err != nil {
			return err
		}
		return then
	}
	switch r.script.Fault {
	case FaultSilent:
		return nil
	case FaultReset:
		if err := c.(*net.TCPConn).SetLinger(0); err != nil {
			return err
		}
		return errEnd
	case FaultClose:
		return errEnd
	case FaultShort:
		return write(reply[:len(reply)/2], errEnd)
	case FaultWrongBody:
		reply[len(reply)-1] ^= 0xff
	case FaultGarbage:
		for i := range min(len(reply), 8) {
			reply[i] = 0xff
		}
	case FaultStranger:
		if r.script.Protocol == "frame" {
			return write(wire.AppendFrame(nil, q.id+1<<32, q.body), nil)
		}
		return write(append(reply, reply...), nil)
	case FaultBytewise:
		for i := range reply {
			if _, err := c.Write(reply[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	case FaultChunked:
		return write(chunked(r.bodyOf(q)), nil)
	case FaultToEOF:
		return write(append([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), r.bodyOf(q)...), errEnd)
	}
	return write(reply, nil)
}

// chunked is a reply with its body in two chunks.
func chunked(body []byte) []byte {
	b := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, piece := range [][]byte{body[:len(body)/2], body[len(body)/2:]} {
		if len(piece) > 0 {
			b = fmt.Appendf(b, "%x\r\n%s\r\n", len(piece), piece)
		}
	}
	return append(b, "0\r\n\r\n"...)
}

// request is what a reply needs to know of it.
type request struct {
	id          uint64
	body        []byte
	work, close bool
}

// parser reads requests of one connection.
type parser struct {
	frame bool
	http  wire.Request
}

// next returns the next request: with wait, it waits for one; otherwise it is nil if there is no whole one at hand.
func (p *parser) next(in *bufio.Reader, wait bool) (*request, error) {
	for want := 1; ; {
		if !wait && in.Buffered() < want {
			return nil, nil
		}
		if _, err := in.Peek(want); err != nil {
			if err == bufio.ErrBufferFull {
				return nil, io.ErrShortBuffer
			}
			return nil, err
		}
		buf, err := in.Peek(in.Buffered())
		if err != nil {
			return nil, err
		}
		q, n, err := p.parse(buf)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			q.body = slices.Clone(q.body)
			_, err = in.Discard(n)
			return q, err
		}
		want = len(buf) + 1
	}
}

func (p *parser) parse(buf []byte) (*request, int, error) {
	if p.frame {
		id, body, n, err := wire.ParseFrame(buf)
		return &request{id: id, body: body, work: id&wire.FrameWork != 0}, n, err
	}
	n, err := wire.ParseRequest(buf, &p.http)
	h := &p.http
	return &request{body: h.Body, work: string(h.Target) == "/work", close: h.Close}, n, err
}
