package crew

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/internal/procfs"
)

// MaxMembers is the most processes of a crew: at 20 000 files each more than the memory of a host holds.
const MaxMembers = 256

const (
	// prepareWithin bounds the time from the first process's start to the last one being prepared.
	prepareWithin = 60 * time.Second
	// lead is from the last member being ready to connect or to start until then: they all learn of it in time.
	lead = 100 * time.Millisecond
	// endSlack is how long after the last phase a part may come.
	endSlack = 60 * time.Second
	// quitWithin is how long a member may take to end once its input is closed, before it is killed.
	quitWithin = endWithin + 5*time.Second
	// wordsEach is how much a member says at most, its end among it: so that nobody waits to be heard.
	wordsEach = 4
)

// Config is how a crew is made.
type Config struct {
	// Command starts a member: a program that calls Serve, and its arguments.
	Command []string
	Env     []string // added to ours
	Members int      // 1 to MaxMembers
	Stderr  io.Writer
	// Spool is where a directory for the members' logs is made; default os.TempDir.
	Spool string
	// Opened is called when connections are open as far as there is hope, with how many; may be nil.
	Opened func(open int64)
}

// Run makes the load of a plan, which is that of the whole, and returns the report of all members together. A member that ended
// before its part was told is lost: the others are ended, and the report is INVALID. There is an error and no report if that
// happened before the load began. A cancelled ctx ends the load early; what was measured is reported.
func Run(ctx context.Context, c Config, plan *clients.Plan) (*clients.Report, error) {
	crew, err := New(c, plan)
	if err != nil {
		return nil, err
	}
	defer crew.Close()
	f := crew.captain
	if err := f.open(ctx); err != nil {
		return nil, crew.fault(err)
	}
	f.conduct(ctx, 0)
	return f.report()
}

// Crew is members that are prepared, as an engine of a run: its phases start at a T0 that is fixed before connections are opened.
// Whoever makes one calls Close.
type Crew struct {
	captain *captain
	members int
	spool   string
}

var _ clients.Engine = (*Crew)(nil)

// New starts the members and has them prepare a plan's load.
func New(c Config, plan *clients.Plan) (*Crew, error) {
	if c.Members < 1 || c.Members > MaxMembers {
		return nil, fmt.Errorf("making a load with %d processes: want 1 to %d", c.Members, MaxMembers)
	}
	if count := plan.Scenario.Connections.Count; count < c.Members {
		return nil, fmt.Errorf("making a load with %d processes: %d connections: want at least one each", c.Members, count)
	}
	spool, err := os.MkdirTemp(c.Spool, "millrace-load-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for logs: %w", err)
	}
	f := &captain{plan: plan, words: make(chan said, wordsEach*c.Members), calls: make(chan func()), opened: c.Opened}
	go keep(f.calls)
	crew := &Crew{captain: f, members: c.Members, spool: spool}
	if err := f.enlist(c, spool); err != nil {
		crew.Close()
		return nil, crew.fault(err)
	}
	return crew, nil
}

// Run makes the load from t0 on, as clients.Engine says, once.
func (c *Crew) Run(ctx context.Context, t0 int64) (*clients.Report, error) {
	c.captain.all(order{ConnectNs: t0, Fixed: true})
	c.captain.conduct(ctx, t0)
	return c.captain.report()
}

// Progress tells the phase only: what members count is added up when they end.
func (c *Crew) Progress() clients.Progress {
	t0 := c.captain.began.Load()
	if t0 == 0 {
		return clients.Progress{Phase: "connect"}
	}
	now := procfs.Monotonic() - t0
	p := clients.Progress{TNs: now, Phase: "connect"}
	at := int64(c.captain.plan.Scenario.ConnectFor())
	for _, phase := range c.captain.plan.Scenario.Phases {
		if now >= at {
			p.Phase = phase.Name
		}
		at += int64(phase.For)
	}
	return p
}

// Close ends members that are left, and waits for them. It may be called more than once.
func (c *Crew) Close() {
	if c.captain != nil {
		c.captain.dismiss()
		_ = os.RemoveAll(c.spool)
	}
	c.captain = nil
}

func (c *Crew) fault(err error) error {
	return fmt.Errorf("making a load with %d processes: %w", c.members, err)
}

// captain leads a crew. One goroutine uses it.
type captain struct {
	plan   *clients.Plan
	hands  []*hand
	words  chan said
	calls  chan func() // keep's
	opened func(int64)
	began  atomic.Int64 // T0 as soon as the load begins, a CLOCK_MONOTONIC time in ns
}

// said is a word of a member, or that it said its last.
type said struct {
	hand *hand
	word word
	err  error // the end of its output
}

// enlist starts the members and has them prepare.
func (f *captain) enlist(c Config, spool string) error {
	begun := time.After(prepareWithin)
	for i := range c.Members {
		var h *hand
		started := make(chan error)
		f.calls <- func() {
			var err error
			h, err = startHand(c, i)
			started <- err
		}
		if err := <-started; err != nil {
			return fmt.Errorf("starting process %d: %w", i+1, err)
		}
		f.hands = append(f.hands, h)
		go h.listen(f.words)
		p := *f.plan
		p.Agent, p.Agents = i, c.Members
		logs := filepath.Join(spool, fmt.Sprint(i))
		if err := os.Mkdir(logs, 0o700); err != nil {
			return fmt.Errorf("making a directory for logs: %w", err)
		}
		h.logs = logs
		h.order(order{Plan: &p, Logs: logs})
	}
	return f.each(begun, nil, "prepared", func(w *word) bool { return w.Prepared })
}

// each waits until every member has said a word of a kind.
func (f *captain) each(late <-chan time.Time, stop <-chan struct{}, what string, is func(*word) bool) error {
	for left := len(f.hands); left > 0; {
		select {
		case s := <-f.words:
			switch {
			case s.err != nil:
				return fmt.Errorf("%s is lost: %w", s.hand.name, s.err)
			case s.word.Error != "":
				return fmt.Errorf("%s: %s", s.hand.name, s.word.Error)
			case is(&s.word):
				left--
			}
		case <-late:
			return fmt.Errorf("%d of %d are not %s", left, len(f.hands), what)
		case <-stop:
			return errors.New("interrupted before the first phase")
		}
	}
	return nil
}

// open has all connections opened. Members give up by themselves.
func (f *captain) open(ctx context.Context) error {
	f.all(order{ConnectNs: procfs.Monotonic() + int64(lead)})
	var sum int64
	err := f.each(nil, ctx.Done(), "open", func(w *word) bool {
		if w.Open != nil {
			sum += *w.Open
		}
		return w.Open != nil
	})
	if err == nil && f.opened != nil {
		f.opened(sum)
	}
	return err
}

// conduct starts the phases, unless they start at a T0 that the members know, and waits for all parts. A lost member ends the
// others.
func (f *captain) conduct(ctx context.Context, t0 int64) {
	length := f.plan.Scenario.Duration()
	if t0 == 0 {
		t0 = procfs.Monotonic() + int64(lead)
		f.all(order{StartNs: t0})
	}
	f.began.Store(t0)
	late := time.NewTimer(time.Duration(t0-procfs.Monotonic()) + length + endSlack)
	defer late.Stop()
	stop := ctx.Done()
	end := func() {
		stop = nil
		late.Reset(quitWithin)
		for _, h := range f.hands {
			h.quit()
		}
	}
	for left := len(f.hands); left > 0; {
		select {
		case s := <-f.words:
			switch {
			case s.err != nil && s.hand.part == nil && s.hand.lost == "":
				s.hand.lost = s.err.Error()
			case s.word.Error != "":
				s.hand.lost = s.word.Error
			case s.word.Part != nil:
				s.hand.part = s.word.Part
				s.hand.part.LogDir = s.hand.logs
			default:
				continue
			}
			left--
			if s.hand.lost != "" && stop != nil {
				end()
			}
		case <-stop:
			end()
		case <-late.C:
			for _, h := range f.hands {
				if h.part == nil && h.lost == "" {
					h.lost = "it did not end in time"
					left--
				}
			}
		}
	}
}

// report merges the parts there are.
func (f *captain) report() (*clients.Report, error) {
	var parts []*recording.Part
	var all, lost, why []string
	for _, h := range f.hands {
		all = append(all, h.name)
		if h.lost != "" {
			lost = append(lost, h.name)
			why = append(why, h.name+": "+h.lost)
		}
		if h.part != nil {
			parts = append(parts, h.part)
		}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("making a load with %d processes: all are lost: %s", len(all), strings.Join(why, "; "))
	}
	r, err := recording.Merge(f.plan, parts)
	if r == nil {
		return nil, err
	}
	c := checks.Agents(all, lost)
	if len(lost) > 0 {
		c.Reason += ": " + strings.Join(why, "; ")
	}
	r.Judge(c)
	return r, err
}

// all gives every member an order.
func (f *captain) all(o order) {
	for _, h := range f.hands {
		h.order(o)
	}
}

// dismiss ends whoever is left, and waits for all.
func (f *captain) dismiss() {
	for _, h := range f.hands {
		h.quit()
	}
	kill := time.AfterFunc(quitWithin, func() {
		for _, h := range f.hands {
			h.kill()
		}
	})
	defer kill.Stop()
	for _, h := range f.hands {
		<-h.gone
	}
	close(f.calls)
}

// encodeLine is a message's line.
func encodeLine(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("crew: encoding an order: " + err.Error()) // a plan is plain data
	}
	return append(b, '\n')
}
