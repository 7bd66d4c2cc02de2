package crew

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/internal/procfs"
)

// Engine is a load engine that can wait for those of other processes.
type Engine interface {
	// Hold makes RunPart wait for Start once its connections are open, or as many as there is hope for, and tell how many.
	Hold(tell func(open int64))
	// Start starts the phases at T0, a CLOCK_MONOTONIC time in ns.
	Start(t0 int64)
	// RunPart makes the load and returns what it measured. A cancelled ctx ends it early.
	RunPart(ctx context.Context, t0 int64) (*recording.Part, error)
}

// endWithin is how long an engine may take to end when it is told to.
const endWithin = 5 * time.Second

// Serve is a member: it takes its orders from in and answers on out, until its part is told or in ends. prepare makes the
// engine of a plan. An error that the captain was told of is no error here.
func Serve(ctx context.Context, in io.Reader, out io.Writer, prepare func(*clients.Plan) (Engine, error)) error {
	m := &member{orders: json.NewDecoder(in), out: json.NewEncoder(out)}
	first, err := m.next()
	if err != nil {
		return fmt.Errorf("reading the plan: %w (members of a load are started by `millrace load --processes`)", err)
	}
	if first.Plan == nil || first.Logs == "" {
		return errors.New("reading the plan: the first order has none")
	}
	first.Plan.LogDir = first.Logs
	e, err := prepare(first.Plan)
	if err != nil {
		return m.say(word{Error: err.Error()})
	}
	if err := m.say(word{Prepared: true}); err != nil {
		return err
	}
	connect, err := m.next()
	if err != nil || connect.ConnectNs == 0 {
		return nil // called off
	}
	return m.run(ctx, e, connect)
}

// member is one that serves.
type member struct {
	orders *json.Decoder
	mu     sync.Mutex // guards out
	out    *json.Encoder
}

func (m *member) next() (order, error) {
	var o order
	err := m.orders.Decode(&o)
	return o, err
}

func (m *member) say(w word) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out.Encode(w)
}

// run makes the load.
func (m *member) run(ctx context.Context, e Engine, connect order) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := make(chan int64, 1)
	var late int64 // of the order that gives T0
	if connect.Fixed {
		late = max(0, procfs.Monotonic()-connect.ConnectNs)
	} else {
		e.Hold(func(open int64) { opened <- open })
	}
	type result struct {
		part *recording.Part
		err  error
	}
	over := make(chan result, 1)
	go func() {
		part, err := e.RunPart(ctx, connect.ConnectNs)
		over <- result{part, err}
	}()
	started := make(chan int64, 1)
	go m.listen(e, started, cancel)
	var end <-chan time.Time
	stopped := ctx.Done()
	for {
		select {
		case open := <-opened:
			// A captain that is gone shows in the orders.
			_ = m.say(word{Open: &open})
		case <-stopped:
			stopped, end = nil, time.After(endWithin)
		case <-end:
			return fmt.Errorf("ending the load: it goes on %v after it was told to end", endWithin)
		case r := <-over:
			if r.err != nil {
				return m.say(word{Error: r.err.Error()})
			}
			r.part.LateNs = late
			select {
			case r.part.LateNs = <-started:
			default:
			}
			return m.say(word{Part: r.part})
		}
	}
}

// listen hands on the order to start, and cancels when there are no more. started gets how late the order was.
func (m *member) listen(e Engine, started chan<- int64, cancel func()) {
	defer cancel()
	for {
		o, err := m.next()
		if err != nil {
			return
		}
		if o.StartNs != 0 {
			e.Start(o.StartNs)
			select {
			case started <- max(0, procfs.Monotonic()-o.StartNs):
			default: // a second one
			}
		}
	}
}
