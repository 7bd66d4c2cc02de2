package messages

import (
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/servers/kit"
)

// feed writes what the server sends on its own to one connection, in a goroutine that begins when the client subscribes. Its
// methods but wake belong to the connection's reader.
type feed struct {
	env     *kit.Env
	conn    Conn
	outbox  atomic.Pointer[kit.Outbox] // nil until the client subscribes
	waiting chan struct{}              // of one: there is something to be written
	over    chan struct{}
	writer  sync.WaitGroup
}

func newFeed(env *kit.Env, c Conn) *feed { return &feed{env: env, conn: c} }

// wake is called by the hub, perhaps before subscribe knows the outbox; the writer looks into it then.
func (f *feed) wake() {
	select {
	case f.waiting <- struct{}{}:
	default:
	}
	if o := f.outbox.Load(); o != nil && o.Overflowed() {
		go f.conn.Close() // the writer may be in a write that nobody takes
	}
}

// subscribe begins to write. More than once does no harm.
func (f *feed) subscribe() {
	if f.outbox.Load() != nil {
		return
	}
	f.waiting, f.over = make(chan struct{}, 1), make(chan struct{})
	f.outbox.Store(f.env.Subscribe(f.wake))
	f.writer.Go(f.write)
}

func (f *feed) write() {
	defer f.conn.Close()
	outbox := f.outbox.Load()
	for {
		message, closing := outbox.Message()
		if closing || message != nil && f.conn.Write(true, message) != nil {
			return
		}
		if message != nil {
			continue
		}
		select {
		case <-f.over:
			return
		case <-f.waiting:
		}
	}
}

// end forgets what waits and closes the connection, which ends a write under way.
func (f *feed) end() {
	o := f.outbox.Load()
	if o == nil {
		return
	}
	o.End()
	f.conn.Close()
	close(f.over)
	f.writer.Wait()
}
