package reactor

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// alone prepares a plan's engine with one shard, to be run by the test.
func alone(t *testing.T, p *clients.Plan) (*Engine, *shard) {
	t.Helper()
	runtime.LockOSThread() // a ring belongs to its thread
	e, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	e.shards = 1
	if e.rec, err = recording.NewRecording(e.plan, 1); err != nil {
		t.Fatal(err)
	}
	shards, err := e.newShards(procfs.Monotonic())
	if err != nil {
		t.Fatal(err)
	}
	return e, shards[0]
}

// With every connection busy, a client that stalls reads the replies late, and no lag tells.
func TestAStallWithBusyConnectionsIsTold(t *testing.T) {
	srv := start(t, reflect.Script{Delay: 5 * time.Millisecond})
	e, s := alone(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = 2
		s.Phases = []scenarios.Phase{steady(1000, 1000)}
	}))
	s.now = procfs.Monotonic()
	s.control, s.nextScan, s.looked, s.woke = s.now, s.now, s.now, s.now
	stall := 350 * time.Millisecond
	for s.round() {
		if stall > 0 && s.phase == 0 && s.now > s.start+int64(300*time.Millisecond) {
			<-time.After(stall)
			stall = 0
		}
	}
	s.finish()
	r, err := e.rec.Report(e.facts([]*shard{s}))
	if err != nil {
		t.Fatal(err)
	}
	c := find(r, "generator lag")
	if c.State != validity.Warn && c.State != validity.Fail || !strings.Contains(c.Reason, "stalls of the client") {
		t.Errorf("%+v: want it to tell of the stall", c)
	}
}

// What is left at the end because the client did not get to it was not offered; what waits for a connection was.
func TestUnsentForWantOfTheClientIsNotOffered(t *testing.T) {
	for _, c := range []struct {
		fault string
		stall time.Duration
		want  validity.State
	}{
		{"", 600 * time.Millisecond, validity.Fail},
		{reflect.FaultSilent, 0, validity.OK}, // every connection waits for its first reply
	} {
		srv := start(t, reflect.Script{Fault: c.fault})
		e, s := alone(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Connections.Count = 1000
			s.Phases = []scenarios.Phase{steady(1000, 2000)}
		}))
		s.now = procfs.Monotonic()
		s.control, s.nextScan, s.looked, s.woke = s.now, s.now, s.now, s.now
		for s.round() {
			if c.stall > 0 && s.phase == 0 && s.now > s.start+int64(500*time.Millisecond) {
				<-time.After(c.stall)
				c.stall = 0
			}
		}
		s.finish()
		r, err := e.rec.Report(e.facts([]*shard{s}))
		if err != nil {
			t.Fatal(err)
		}
		checkSums(t, r)
		if r.Outcomes["unsent"] < 700 {
			t.Fatalf("outcomes %v: want some 1000 unsent", r.Outcomes)
		}
		if o := find(r, "offered rate"); o.State != c.want {
			t.Errorf("fault %q: %+v, want %s", c.fault, o, c.want)
		}
		if waited := r.Phases[0].Waited; (waited >= r.Outcomes["unsent"]) != (c.want == validity.OK) {
			t.Errorf("fault %q: %d waited for a connection, outcomes %v", c.fault, waited, r.Outcomes)
		}
	}
}

// costly is a transport of which every close takes 10 ms of CPU.
type costly struct{ transport }

func (c costly) close(i int32, reset bool) {
	for from := sys.ThreadCPU(); sys.ThreadCPU()-from < 10e6; {
		continue
	}
	c.transport.close(i, reset)
}

// Opening connections and closing them is no work of the load's.
func TestCPUIsOfTheLoadOnly(t *testing.T) {
	srv := start(t, reflect.Script{})
	e, s := alone(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) { s.Phases = []scenarios.Phase{steady(200, 100)} }))
	s.io = costly{s.io}
	before := sys.ThreadCPU()
	for sys.ThreadCPU()-before < 100e6 {
		continue
	}
	s.now = procfs.Monotonic()
	s.control, s.nextScan, s.looked, s.woke = s.now, s.now, s.now, s.now
	for s.round() {
	}
	s.finish()
	r, err := e.rec.Report(e.facts([]*shard{s}))
	if err != nil {
		t.Fatal(err)
	}
	var cpu int64
	for _, i := range r.Intervals {
		cpu += i.CPUNs
	}
	if cpu <= 0 || cpu >= 90e6 {
		t.Errorf("%d ns of CPU for 20 requests, beside 100 ms each for opening and closing 10 connections", cpu)
	}
	checkSums(t, r)
}

func TestAConnectionIsFreeOnceItsWriteIsDone(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := plan("http://127.0.0.1:1/", nil)
	p.Engine = "epoll"
	_, s := alone(t, p)
	t.Cleanup(func() {
		s.io.free()
		for _, fd := range pair {
			if err := unix.Close(fd); err != nil {
				t.Error(err)
			}
		}
	})
	s.active = 1
	c := &s.conns[0]
	c.fd, c.state = int32(pair[0]), open
	io := s.io.(*epollTransport)
	io.keep(0, []byte("the rest of a request"))
	before := procfs.Monotonic()
	io.flush(0)
	if !c.queued || c.pending >= 0 || c.freeAt < before {
		t.Errorf("queued %v, free since %d, before %d", c.queued, c.freeAt, before)
	}
}

func TestSpinningTakesNoMoreThanTheThreadUsed(t *testing.T) {
	s := &shard{}
	for _, c := range []struct{ total, spun, worked, want int64 }{
		{100, 40, 50, 60},
		{150, 80, 0, 60}, // descheduled while it spun
		{250, 0, 20, 160},
		{250, 30, 0, 160},
		{300, 10, 0, 200},
		{400, 95, 30, 230}, // the spinning did not leave room for the work: descheduled in both
		{410, 0, 90, 240},
	} {
		s.spun, s.worked = c.spun, c.worked
		if s.useCPU(c.total); s.cpu != c.want || s.spun != 0 || s.worked != 0 {
			t.Errorf("%d ns of CPU, %d of spinning and %d of work: used %d in all, want %d", c.total, c.spun, c.worked, s.cpu, c.want)
		}
	}
}

// Without a file left for its epoll an engine gives up, and waits for no collector.
func TestNoFileLeft(t *testing.T) {
	e, err := New(plan("http://127.0.0.1:1/", func(p *clients.Plan, _ *scenarios.Scenario) { p.StartWhenOpen = false }))
	if err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := e.Run(context.Background(), procfs.Monotonic())
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-time.After(10 * time.Second):
		t.Error("still running after 10 s")
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil || !strings.Contains(err.Error(), "preparing load: opening "+engineUnderTest+": ") || !strings.Contains(err.Error(), "too many open files") {
		t.Errorf("error %v: want that no file is left", err)
	}
}
