package push

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

func start(t *testing.T, s reflect.PushScript) *reflect.Pusher {
	t.Helper()
	p, err := reflect.StartPush(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// plan is one measured phase on so many connections.
func plan(url string, connections int, d time.Duration) *clients.Plan {
	return &clients.Plan{
		URL: url, Engine: "epoll", StartWhenOpen: true,
		Scenario: scenarios.Scenario{
			Name: "push", Why: "a test", Protocol: scenarios.Push, Connections: scenarios.Connections{Count: connections},
			Phases: []scenarios.Phase{{Name: "load", Load: "steady", For: scenarios.Duration(d), Measure: true}},
		},
	}
}

func run(t *testing.T, p *clients.Plan) *clients.Report {
	t.Helper()
	e, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Run(t.Context(), procfs.Monotonic())
	if err != nil {
		t.Fatal(err)
	}
	if r.Planned != 0 || r.Push.Received+r.Push.Missing != r.Push.Expected {
		t.Errorf("%d planned, %d received and %d missing of %d", r.Planned, r.Push.Received, r.Push.Missing, r.Push.Expected)
	}
	return r
}

func find(t *testing.T, r *clients.Report, name string) validity.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %q in %+v", name, r.Checks)
	return validity.Check{}
}

func TestEveryFrameIsReceivedInOrder(t *testing.T) {
	srv := start(t, reflect.PushScript{Rate: 1000, Payload: 100})
	r := run(t, plan(srv.URL(), 20, 500*time.Millisecond))
	p := r.Push
	// 500 frames to 20 subscribers, and a few before and after the edges.
	if got := p.Received - p.Before; got < 8000 || got > 10_100 || p.Missing+p.Duplicated+p.Reordered+p.Stale+p.Bad != 0 {
		t.Errorf("%+v", p)
	}
	if p.Subscribers != 20 || p.Subscriptions != 20 || srv.Subscribed.Load() != 20 || len(p.Lost) != 0 || p.Silent != 0 {
		t.Errorf("%+v, the server counts %d", p, srv.Subscribed.Load())
	}
	if d := p.DeliveryNs; d == nil || d.Count < 8000 || *d.P50 <= 0 || *d.P50 > int64(100*time.Millisecond) || d.Outside != 0 {
		t.Errorf("delivery %+v", d)
	}
	if s := p.Spread; s == nil || s.Best <= 0 || s.Best > s.Median || s.Median > s.Worst {
		t.Errorf("spread %+v", s)
	}
	var all int64
	for _, n := range p.Intervals {
		all += n
	}
	if all != p.Received-p.Before || len(p.Phases) != 1 || p.Phases[0].Received != all {
		t.Errorf("%d in intervals %v, phases %+v, %d received and %d before", all, p.Intervals, p.Phases, p.Received, p.Before)
	}
	for _, name := range []string{"push identity", "push sequence", "push subscribers", "push clocks", "outcome identity", "keep-alive truth"} {
		if c := find(t, r, name); c.State != validity.OK {
			t.Errorf("%+v", c)
		}
	}
	if r.Loop != "push" || r.OfferedRPS != nil || r.ConnectionsOpened != 20 {
		t.Errorf("loop %s, offered %v, opened %d", r.Loop, r.OfferedRPS, r.ConnectionsOpened)
	}
}

// Every tenth frame is a faulty one. The server may have made some before the first subscriber came and after the last one left.
func TestFaultsAreCounted(t *testing.T) {
	const every = 10
	for fault, counted := range map[string]func(p *clients.PushReport) (n int64, others bool){
		reflect.PushGap:       func(p *clients.PushReport) (int64, bool) { return p.Missing, false },
		reflect.PushDuplicate: func(p *clients.PushReport) (int64, bool) { return p.Duplicated, p.Missing > 0 },
		reflect.PushReordered: func(p *clients.PushReport) (int64, bool) { return p.Reordered, p.Missing > 4 },
		reflect.PushWrongBody: func(p *clients.PushReport) (int64, bool) { return p.Bad, p.Missing > 0 },
	} {
		srv := start(t, reflect.PushScript{Rate: 1000, Payload: 40, Fault: fault, Every: every})
		r := run(t, plan(srv.URL(), 2, 300*time.Millisecond))
		p := r.Push
		n, others := counted(p)
		if least, most := p.Expected/every-4, 2*srv.Faulty.Load(); n < max(least, 1) || n > min(least+8, most) || others {
			t.Errorf("fault %s: %d, want %d to %d: %+v, %d faulty frames to two subscribers", fault, n, least, least+8, p, srv.Faulty.Load())
		}
		if c := find(t, r, "push sequence"); c.State != validity.Fail || r.Verdict != validity.Invalid {
			t.Errorf("fault %s: %s, %+v", fault, r.Verdict, c)
		}
	}
}

// A slow server's delay is in the delivery lag, whatever the load.
func TestDeliveryIsFromTheSendersClock(t *testing.T) {
	if testing.Short() {
		t.Skip("takes over a second")
	}
	const delay = 30 * time.Millisecond
	srv := start(t, reflect.PushScript{Rate: 10, Fault: reflect.PushSlow, Delay: delay})
	r := run(t, plan(srv.URL(), 50, 1500*time.Millisecond))
	d := r.Push.DeliveryNs
	if d == nil || d.Count < 500 || *d.P50 < int64(delay) || *d.P50 > int64(delay+20*time.Millisecond) {
		t.Errorf("delivery %+v, want a median of %v or a little more", d, delay)
	}
	if s := r.Push.Spread; s == nil || s.Best < int64(delay) {
		t.Errorf("spread %+v", s)
	}
}

func TestALostConnectionIsToldAndSubscribedAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes over a second")
	}
	for fault, o := range map[string]string{reflect.PushClose: "eof", reflect.PushReset: "reset", reflect.PushGarbage: "protocol_error"} {
		srv := start(t, reflect.PushScript{Rate: 500, Fault: fault, Every: 90})
		var r *clients.Report
		var p *clients.PushReport
		// Again where the host stood still at the end, before all were back.
		for try := 0; try < 5 && (p == nil || p.Subscribers < 4); try++ {
			before := srv.Subscribed.Load()
			r = run(t, plan(srv.URL(), 4, 500*time.Millisecond))
			// The server may not have read the last ones.
			if p = r.Push; p.Subscriptions < srv.Subscribed.Load()-before || p.Subscriptions > srv.Subscribed.Load()-before+4 {
				t.Errorf("fault %s: %d subscriptions, the server counts %d", fault, p.Subscriptions, srv.Subscribed.Load()-before)
			}
		}
		if p.Lost[o] < 4 || len(p.Lost) != 1 || p.Subscriptions < 8 || p.Subscribers != 4 {
			t.Errorf("fault %s: %+v", fault, p)
		}
		if c := find(t, r, "push subscribers"); c.State != validity.Warn || !strings.Contains(c.Reason, o) {
			t.Errorf("fault %s: %+v", fault, c)
		}
		if p.Missing != 0 || p.Restarted != 0 || fault == reflect.PushGarbage && p.Away < 4 {
			t.Errorf("fault %s: what came while away is no gap on a connection: %+v", fault, p)
		}
	}
}

func TestAServerThatStops(t *testing.T) {
	if testing.Short() {
		t.Skip("takes over a second")
	}
	srv := start(t, reflect.PushScript{Rate: 500, Fault: reflect.PushStop, Every: 50})
	r := run(t, plan(srv.URL(), 2, 1500*time.Millisecond))
	if c := find(t, r, "push subscribers"); c.State != validity.Fail || !strings.Contains(c.Reason, "nobody received a frame in the last") {
		t.Errorf("%+v", c)
	}
	// And one that never begins, a listener that accepts and says nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r = run(t, plan("push://"+l.Addr().String()+"/news", 2, 100*time.Millisecond))
	if c := find(t, r, "push sequence"); c.State != validity.Fail || c.Reason != "no frame was received" || r.Push.Silent != 2 {
		t.Errorf("%+v, %d silent", c, r.Push.Silent)
	}
}

func TestAnotherClockHasNoDelivery(t *testing.T) {
	srv := start(t, reflect.PushScript{Rate: 500, Fault: reflect.PushFuture, Every: 20})
	r := run(t, plan(srv.URL(), 2, 300*time.Millisecond))
	p := r.Push
	if p.DeliveryNs != nil || p.Spread != nil || p.Phases[0].DeliveryNs != nil || p.Future == 0 || !strings.Contains(p.Refused, "one host, or not at all") {
		t.Errorf("%+v", p)
	}
	if c := find(t, r, "push clocks"); c.State != validity.Warn {
		t.Errorf("%+v", c)
	}
	if c := find(t, r, "push sequence"); c.State != validity.OK {
		t.Errorf("the counts don't need the clock: %+v", c)
	}
}

// peer knows this host's addresses and no others. A connection to another host can't be made here, so its address is tried.
func TestForeignAddressesRefuseDelivery(t *testing.T) {
	f := figures{push: &clients.PushReport{Refused: "10.0.0.1 is no address of this host"}, foreign: true}
	if c := f.clocks(); c.State != validity.NotApplicable || c.Reason == "" {
		t.Errorf("%+v", c)
	}
	if c := f.receiver(); c.State != validity.NotApplicable {
		t.Errorf("%+v", c)
	}
	e := &Engine{}
	p := &clients.PushReport{Phases: []clients.PushPhase{{}}}
	e.addDelivery(p, []*shard{{foreign: "10.0.0.1"}}, nil, &f)
	if p.DeliveryNs != nil || !strings.HasPrefix(p.Refused, "10.0.0.1 is no address of this host") {
		t.Errorf("%+v", p)
	}
}

func TestChannelsOverAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "push.sock")
	srv := start(t, reflect.PushScript{Listen: "unix:" + path, Rate: 500, Exponential: true, Seed: 3})
	p := plan("push://x:1/prices", 3, 200*time.Millisecond)
	p.UnixSocket = path
	r := run(t, p)
	if r.Push.Received == 0 || r.Push.DeliveryNs == nil || srv.Subscribed.Load() != 3 {
		t.Errorf("%+v", r.Push)
	}
}

func TestNewRefuses(t *testing.T) {
	check := func(want string, change func(*clients.Plan)) {
		t.Helper()
		p := plan("push://127.0.0.1:1", 2, time.Second)
		change(p)
		if _, err := New(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	check("push has engine epoll only", func(p *clients.Plan) { p.Engine = "uring" })
	check("want one channel for each", func(p *clients.Plan) {
		p.Requests = []clients.Request{{URL: "push://127.0.0.1:1/a"}, {URL: "push://127.0.0.1:1/b"}}
	})
	check("scenario's protocol is push, but the URL http://127.0.0.1:1/ is for http", func(p *clients.Plan) { p.URL = "http://127.0.0.1:1/" })
	check("want no arrivals", func(p *clients.Plan) { p.Scenario.Phases[0].Arrivals.Constant = 10 })
	check("agent 2 of 2", func(p *clients.Plan) { p.Agent, p.Agents = 2, 2 })
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	e, err := New(plan("push://"+l.Addr().String(), 2, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Run(context.Background(), procfs.Monotonic()); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v, %v", r, err)
	}
}

// No frame allocates: the whole receiving path over a table of one connection.
func TestNoAllocationPerFrame(t *testing.T) {
	srv := start(t, reflect.PushScript{Rate: 1})
	e, err := New(plan(srv.URL(), 1, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	s := received(t, e)
	var number uint64
	data := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		data = data[:0]
		for range 10 {
			number++
			data = wire.AppendPush(data, number, s.now-1000, wire.Payload(0))
		}
		s.arrived(0, data)
	}); n > 0 {
		t.Errorf("%v allocations for ten frames", n)
	}
	if s.counts[0].Received != int64(number) {
		t.Errorf("%d received of %d", s.counts[0].Received, number)
	}
}

// received is a shard of an engine that never runs.
func received(t *testing.T, e *Engine) *shard {
	t.Helper()
	rec, err := recording.NewRecording(e.plan, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rec.Abandon)
	e.rec = rec
	s, err := newShard(e, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.poll.Close)
	s.now = 1_000_000
	return s
}

// A client that spins receives the same, and its spinning is no CPU time of the load's.
func TestSpinning(t *testing.T) {
	srv := start(t, reflect.PushScript{Rate: 200})
	p := plan(srv.URL(), 4, 300*time.Millisecond)
	p.Spin, p.Threads = true, 1
	r := run(t, p)
	if got := r.Push.Received - r.Push.Before; got < 4*30 || got > 4*62 {
		t.Errorf("%d frames received, want 240", got)
	}
	var cpu int64
	for _, i := range r.Intervals {
		cpu += i.CPUNs
	}
	if cpu > int64(150*time.Millisecond) || find(t, r, "generator CPU").State != validity.OK {
		t.Errorf("%v of CPU in 300 ms, %+v", time.Duration(cpu), find(t, r, "generator CPU"))
	}
}
