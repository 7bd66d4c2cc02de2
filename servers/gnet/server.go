package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/pool/goroutine"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

const (
	// heldBytes is what a connection's buffers may hold before it is closed: gnet reads on while nobody takes the replies.
	heldBytes = 256 << 20
	// flushWait is how long a loop waits for the last reply to go out: gnet's close drops what the socket doesn't take.
	flushWait = time.Second
	// lastRequests is how long requests are still answered after the server was asked to stop.
	lastRequests = 100 * time.Millisecond
	// batchJobs is how many pipelined requests of http1 one task of the pool answers.
	batchJobs = 64
)

// server is what gnet's loops call.
type server struct {
	gnet.BuiltinEventEngine
	env      *kit.Env
	handle   func(k *conn, in []byte) (taken int)
	batch    int // how many requests one task answers
	addr     string
	engine   gnet.Engine
	state    chan error   // nil from OnBoot, then what gnet.Run returned
	inFlight atomic.Int64 // tasks in the pool
	draining atomic.Bool  // input is no longer looked at
}

var _ kit.Server = (*server)(nil)

// start sets SO_REUSEADDR as Go's net does: gnet's default can't listen at a port with connections in TIME_WAIT.
func start(env *kit.Env, pooled bool) (kit.Server, error) {
	addr, release, err := env.Reserve()
	if err != nil {
		return nil, err
	}
	defer release()
	s := &server{env: env, addr: addr, handle: (*conn).serve, state: make(chan error, 2)}
	if pooled {
		s.handle = (*conn).submit
	}
	s.batch = map[string]int{"http1": batchJobs, "frame": 1}[env.Protocol]
	go func() {
		s.state <- gnet.Run(s, "tcp://"+addr, gnet.WithMulticore(true), gnet.WithReuseAddr(true), gnet.WithLogger(logger{}))
		env.Fail(errors.New("serving: gnet's engine ended by itself"))
	}()
	if err := <-s.state; err != nil {
		return nil, fmt.Errorf("listening at %s: %w", addr, err)
	}
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr }

// Stop answers what comes within lastRequests, lets the pool finish and ends the loops, which close the connections; gnet
// can't end accepting before. What takes longer than ctx ends with the process.
func (s *server) Stop(ctx context.Context) error {
	time.Sleep(lastRequests)
	s.draining.Store(true)
	for s.inFlight.Load() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	go s.engine.Stop(ctx) // looks only every 500 ms whether the loops have ended
	select {
	case err := <-s.state:
		return err
	case <-ctx.Done():
		return nil
	}
}

// OnBoot is called when the listener is open.
func (s *server) OnBoot(engine gnet.Engine) gnet.Action {
	s.engine = engine
	s.state <- nil
	return gnet.None
}

// OnOpen is called on the loop of the connection, as all that follows.
func (s *server) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	s.env.Opened()
	c.SetContext(&conn{Conn: c, server: s, session: s.env.NewSession()})
	return nil, gnet.None
}

// OnTraffic handles what has arrived. gnet keeps what is not discarded.
func (s *server) OnTraffic(c gnet.Conn) gnet.Action {
	k := c.Context().(*conn)
	if c.InboundBuffered()+c.OutboundBuffered() > heldBytes {
		return gnet.Close
	}
	if s.draining.Load() || k.full() {
		return gnet.None
	}
	in, _ := c.Peek(-1)
	if taken := s.handle(k, in); taken > 0 { // to gnet, zero means all
		c.Discard(taken)
	}
	if k.last && k.tasks == 0 {
		return gnet.Close
	}
	return gnet.None
}

// OnClose is called before gnet writes once more and closes. It waits until the replies are out or can't go out.
func (s *server) OnClose(c gnet.Conn, _ error) gnet.Action {
	s.env.Closed()
	until, fd := time.Now().Add(flushWait), []unix.PollFd{{Fd: int32(c.Fd()), Events: unix.POLLOUT}}
	for c.OutboundBuffered() > 0 {
		n, err := unix.Poll(fd, int(max(0, time.Until(until).Milliseconds())))
		if err != unix.EINTR && (n <= 0 || fd[0].Revents != unix.POLLOUT) {
			break
		}
		c.Flush()
	}
	return gnet.None
}

// conn belongs to its loop.
type conn struct {
	gnet.Conn
	server  *server
	session kit.Session
	tasks   int  // in the pool
	last    bool // nothing follows: the request that ends the connection has been read, or the connection is broken
}

// task is requests and their replies, or replies alone.
type task struct {
	conn  *conn
	batch kit.Batch
	out   []byte
}

var tasks = sync.Pool{New: func() any { return new(task) }}

// serve answers on the loop and returns how many bytes it took off in. gnet copies what the socket doesn't take.
func (k *conn) serve(in []byte) (taken int) {
	t := tasks.Get().(*task)
	defer tasks.Put(t)
	for n := 1; n > 0 && !k.last; taken += n {
		n, t.out, k.last = k.session.Serve(in[taken:], t.out[:0])
		if len(t.out) > 0 {
			if _, err := k.Write(t.out); err != nil {
				k.last = true
			}
		}
	}
	return taken
}

// full reports whether nothing more may be handed to the pool: http1 has one task at a time, so that replies keep the order.
func (k *conn) full() bool { return k.last || k.tasks > 0 && k.server.batch > 1 }

// submit hands whole requests to the pool, copied: every frame as a task, those of http1 as a batch. What is not taken waits
// in gnet's buffer. When the pool is full, the loop does the work.
func (k *conn) submit(in []byte) (taken int) {
	for !k.full() {
		t := tasks.Get().(*task)
		taken += t.batch.Fill(&k.session, in[taken:], k.server.batch)
		if t.batch.Len() == 0 {
			tasks.Put(t)
			break
		}
		t.conn, k.last = k, t.batch.Last()
		k.tasks++
		k.server.inFlight.Add(1)
		if goroutine.DefaultWorkerPool.Submit(t.run) != nil {
			t.run()
		}
	}
	return taken
}

// run answers in the pool.
func (t *task) run() {
	defer kit.Crash()
	k := t.conn
	t.out = t.batch.Answer(k.server.env, t.out[:0], func(out []byte) []byte {
		k.AsyncWrite(out, nil)
		return nil // gnet has the buffer now
	})
	k.AsyncWrite(t.out, t.written)
}

// written is called on the loop when gnet has taken the replies, or err says that the connection is gone.
func (t *task) written(_ gnet.Conn, err error) error {
	k := t.conn
	t.conn = nil
	tasks.Put(t)
	k.server.inFlight.Add(-1)
	k.tasks--
	if err == nil && (k.last && k.tasks == 0 || !k.last && k.server.OnTraffic(k.Conn) == gnet.Close) {
		return k.EventLoop().Close(k.Conn)
	}
	return nil
}

// logger takes the place of gnet's own, which writes to standard output, the control channel.
type logger struct{}

func (logger) Debugf(string, ...any)             {}
func (logger) Infof(string, ...any)              {}
func (logger) Warnf(format string, args ...any)  { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (logger) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (logger) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
