package reactor

import (
	"cmp"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engineUnderTest is what plans of the tests name: epoll, or what TestOverUring says.
var engineUnderTest = cmp.Or(os.Getenv("REACTOR_TEST_ENGINE"), "epoll")

const hello = "hello, world!"

// steady is a phase of ms milliseconds at a constant rate.
func steady(ms int, rate float64) scenarios.Phase {
	return scenarios.Phase{
		Name: "steady", Load: "steady", For: scenarios.Duration(time.Duration(ms) * time.Millisecond), Measure: true, Active: 100,
		Arrivals: scenarios.Arrivals{Constant: scenarios.Rate(rate)},
	}
}

// drain is a phase without requests of its own, in which those of the last one are answered.
func drain(ms int) scenarios.Phase {
	return scenarios.Phase{Name: "drain", Load: "steady", For: scenarios.Duration(time.Duration(ms) * time.Millisecond)}
}

// plan is a small open loop over http1, changed by the tests.
func plan(url string, change func(*clients.Plan, *scenarios.Scenario)) *clients.Plan {
	p := &clients.Plan{
		URL: url, Engine: engineUnderTest, Seed: 1, Agents: 1, StartWhenOpen: true, CheckBody: []byte(hello),
		Scenario: scenarios.Scenario{
			Name: "test", Why: "to test", Protocol: "http1",
			Connections: scenarios.Connections{Count: 10},
			Phases:      []scenarios.Phase{steady(200, 1000)},
		},
	}
	if strings.HasPrefix(url, "frame:") {
		p.Scenario.Protocol, p.CheckBody = "frame", nil
	}
	if change != nil {
		change(p, &p.Scenario)
	}
	return p
}

func start(t testing.TB, s reflect.Script) *reflect.Reflector {
	t.Helper()
	if s.Protocol == "" {
		s.Protocol = "http1"
	}
	s.Body = []byte(hello)
	r, err := reflect.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// run runs a plan and checks what is true of every report.
func run(t testing.TB, p *clients.Plan) *clients.Report {
	t.Helper()
	e, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Run(context.Background(), procfs.Monotonic())
	if err != nil {
		t.Fatal(err)
	}
	checkSums(t, r)
	return r
}

func checkSums(t testing.TB, r *clients.Report) {
	t.Helper()
	sum := func(m map[string]int64) (n int64) {
		for _, v := range m {
			n += v
		}
		return n
	}
	var phases, planned, ok, failed, opened, seconds int64
	for _, p := range r.Phases {
		var trickled int64 // their latencies are apart, and not among the seconds
		if p.TrickleNs != nil {
			trickled = p.TrickleNs.Count
		}
		if sum(p.Outcomes) != p.Planned || p.ResponseNs.Count+trickled != p.Outcomes["ok"] {
			t.Errorf("phase %s: planned %d, outcomes %v, %d latencies and %d apart", p.Name, p.Planned, p.Outcomes, p.ResponseNs.Count, trickled)
		}
		seconds += trickled
		phases += p.Planned
	}
	for _, i := range r.Intervals {
		planned, ok, failed, opened = planned+i.Planned, ok+i.OK, failed+i.Failed, opened+i.Opened
	}
	for _, s := range r.Seconds {
		seconds += s.Count
	}
	if sum(r.Outcomes) != r.Planned || phases != r.Planned || planned != r.Planned || ok != r.Outcomes["ok"] ||
		ok+failed != r.Planned || seconds != ok || opened > r.ConnectionsOpened {
		t.Errorf("planned %d, in phases %d, in intervals %d; ok %d, in intervals %d, in seconds %d; failed %d; opened %d of %d; outcomes %v",
			r.Planned, phases, planned, r.Outcomes["ok"], ok, seconds, failed, opened, r.ConnectionsOpened, r.Outcomes)
	}
}

// only checks that all requests had one outcome.
func only(t *testing.T, r *clients.Report, outcome string) {
	t.Helper()
	if r.Planned == 0 || r.Outcomes[outcome] != r.Planned {
		t.Errorf("outcomes %v, want %d %s", r.Outcomes, r.Planned, outcome)
	}
}

// together runs the parts of a test at once, since they mostly wait, and wait waits for all of them.
func together(t *testing.T) (part func(name string, f func(t *testing.T)), wait func()) {
	var wg sync.WaitGroup
	return func(name string, f func(t *testing.T)) {
		wg.Go(func() { t.Run(name, f) })
	}, wg.Wait
}

func TestEveryRequestIsAnswered(t *testing.T) {
	part, wait := together(t)
	defer wait()
	check := func(name string, s reflect.Script, change func(*clients.Plan, *scenarios.Scenario)) {
		part(name, func(t *testing.T) {
			srv := start(t, s)
			r := run(t, plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) {
				if s.Phases = append(s.Phases, drain(300)); change != nil {
					change(p, s)
				}
			}))
			if r.Planned != 200 {
				t.Errorf("planned %d, want 200 ms at 1000/s", r.Planned)
			}
			only(t, r, "ok")
			if srv.Handled.Load() != r.Planned || srv.Accepted.Load() != r.ConnectionsOpened {
				t.Errorf("server handled %d of %d requests on %d of %d connections", srv.Handled.Load(), r.Planned, srv.Accepted.Load(), r.ConnectionsOpened)
			}
			if r.ConnectionsOpened != r.ConnectionsWanted {
				t.Errorf("opened %d connections, wanted %d", r.ConnectionsOpened, r.ConnectionsWanted)
			}
			if r.LagNs.Count != 200 || *r.LagNs.P50 < 100 {
				t.Errorf("lag of %d requests, p50 %d ns: nobody is that punctual", r.LagNs.Count, *r.LagNs.P50)
			}
			if r.BodyBytesIn != 200*int64(len(hello)) {
				t.Errorf("%d bytes of bodies", r.BodyBytesIn)
			}
		})
	}
	pipelined := func(p *clients.Plan, s *scenarios.Scenario) { s.Connections.Pipeline, s.Connections.Count = 7, 3 }
	check("http1", reflect.Script{}, nil)
	check("http1 with a body", reflect.Script{}, func(p *clients.Plan, _ *scenarios.Scenario) { p.Body = []byte(hello) })
	check("http1 pipelined", reflect.Script{Delay: 2 * time.Millisecond}, pipelined)
	check("http1 byte by byte", reflect.Script{Fault: reflect.FaultBytewise}, nil)
	check("http1 in chunks", reflect.Script{Fault: reflect.FaultChunked}, pipelined)
	check("IPv6", reflect.Script{Host: "::1"}, nil)
	check("frame", reflect.Script{Protocol: "frame"}, nil)
	check("frame pipelined", reflect.Script{Protocol: "frame", Delay: 2 * time.Millisecond}, pipelined)
	check("frame in any order", reflect.Script{Protocol: "frame", Delay: 2 * time.Millisecond, Fault: reflect.FaultBackwards, Every: 1 << 30}, pipelined)
	check("frame byte by byte", reflect.Script{Protocol: "frame", Fault: reflect.FaultBytewise}, nil)
	check("sources", reflect.Script{}, func(p *clients.Plan, _ *scenarios.Scenario) { p.Sources = []string{"127.0.0.2", "127.0.0.3"} })
	for _, policy := range []string{"fin-client", "fin-server", "rst"} {
		check(policy, reflect.Script{}, func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Connections.Requests, s.Connections.Close = 1, policy
		})
		check(policy+" after 5", reflect.Script{}, func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Connections.Requests, s.Connections.Close, s.Connections.Pipeline = 5, policy, 2
		})
	}
}

func TestEveryFaultFallsIntoItsDrawer(t *testing.T) {
	part, wait := together(t)
	defer wait()
	check := func(s reflect.Script, outcome string) {
		part(s.Protocol+" "+s.Fault+" "+outcome, func(t *testing.T) {
			srv := start(t, s)
			r := run(t, plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) {
				if outcome == "timeout" {
					s.Timeout = scenarios.Duration(50 * time.Millisecond)
				}
				s.Connections.Count = 40
				s.Phases = []scenarios.Phase{steady(100, 200), drain(500)}
			}))
			only(t, r, outcome)
		})
	}
	for _, protocol := range []string{"http1", "frame"} {
		check(reflect.Script{Protocol: protocol, Fault: reflect.FaultSilent}, "timeout")
		check(reflect.Script{Protocol: protocol, Fault: reflect.FaultReset}, "reset")
		check(reflect.Script{Protocol: protocol, Fault: reflect.FaultClose}, "eof")
		check(reflect.Script{Protocol: protocol, Fault: reflect.FaultShort}, "eof")
		check(reflect.Script{Protocol: protocol, Fault: reflect.FaultWrongBody}, "bad_payload")
		check(reflect.Script{Protocol: protocol, Fault: reflect.FaultGarbage}, "protocol_error")
	}
	check(reflect.Script{Protocol: "frame", Fault: reflect.FaultStranger}, "protocol_error")
	check(reflect.Script{Protocol: "http1", Fault: reflect.FaultToEOF}, "ok")
	check(reflect.Script{Protocol: "http1", Status: 500}, "http_error")
	check(reflect.Script{Protocol: "http1", Status: 404}, "http_error")
}

func TestRequestsLeftAtTheEndAreCounted(t *testing.T) {
	srv := start(t, reflect.Script{Fault: reflect.FaultSilent})
	r := run(t, plan(srv.URL(), nil))
	if r.Outcomes["in_flight"] != 10 || r.Outcomes["unsent"] != 190 {
		t.Errorf("outcomes %v, want one in flight on each of 10 connections and 190 unsent", r.Outcomes)
	}
	if r.Phases[0].DrainedNs != 0 {
		t.Errorf("drained after %d ns, though it never was", r.Phases[0].DrainedNs)
	}
}

func TestAServerThatClosesIsReopenedAndTold(t *testing.T) {
	srv := start(t, reflect.Script{CloseAfter: 10})
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) { s.Phases = append(s.Phases, drain(200)) }))
	if r.Outcomes["ok"]+r.Outcomes["eof"]+r.Outcomes["reset"] != r.Planned || r.ConnectionsOpened < 20 || r.ConnectionsWanted != 10 {
		t.Errorf("outcomes %v, %d connections opened, %d wanted", r.Outcomes, r.ConnectionsOpened, r.ConnectionsWanted)
	}
	if c := find(r, "keep-alive truth"); c.State != validity.Warn {
		t.Errorf("keep-alive truth is %+v", c)
	}
}

func find(r *clients.Report, name string) validity.Check {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	return validity.Check{}
}

func TestNobodyListening(t *testing.T) {
	srv, err := reflect.Start(reflect.Script{Protocol: "http1"})
	if err != nil {
		t.Fatal(err)
	}
	url := srv.URL()
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	part, wait := together(t)
	defer wait()
	for _, requests := range []int{0, 1} {
		part(map[int]string{0: "kept", 1: "by request"}[requests], func(t *testing.T) { nobodyListens(t, url, requests) })
	}
}

func nobodyListens(t *testing.T, url string, requests int) {
	e, err := New(plan(url, func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Phases[0].For = scenarios.Duration(5 * time.Second)
		if s.Connections.Requests = requests; requests > 0 {
			s.Connections.Close = "rst"
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = e.Run(context.Background(), procfs.Monotonic()); err == nil || !strings.Contains(err.Error(), "connection refused") ||
		!strings.Contains(err.Error(), strings.TrimPrefix(url, "http://")) {
		t.Errorf("error %v, want connection refused and the address", err)
	}
}

func TestWrongPlans(t *testing.T) {
	check := func(want string, change func(*clients.Plan, *scenarios.Scenario)) {
		t.Helper()
		_, err := New(plan("http://127.0.0.1:1/", change))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	check("want http://host:port/path, https://host:port/path, ws://host:port/path, frame://host:port or push://host:port/channel", func(p *clients.Plan, _ *scenarios.Scenario) { p.URL = "ftp://127.0.0.1/" })
	check("want engine tls for https://", func(p *clients.Plan, _ *scenarios.Scenario) { p.URL = "https://127.0.0.1/" })
	check("and epoll for http://", func(p *clients.Plan, _ *scenarios.Scenario) { p.Engine = "tls" })
	check("want https://", func(p *clients.Plan, _ *scenarios.Scenario) { p.TLS = &clients.TLS{} })
	check("no default port", func(p *clients.Plan, _ *scenarios.Scenario) { p.URL = "frame://127.0.0.1" })
	check("is for frame", func(p *clients.Plan, _ *scenarios.Scenario) { p.URL = "frame://127.0.0.1:1" })
	check("source address", func(p *clients.Plan, _ *scenarios.Scenario) { p.Sources = []string{"::1"} })
	check("source address", func(p *clients.Plan, _ *scenarios.Scenario) { p.Sources = []string{"here"} })
	check("want 0 to 2", func(p *clients.Plan, _ *scenarios.Scenario) { p.Agent, p.Agents = 3, 3 })
	check("at least one each", func(p *clients.Plan, s *scenarios.Scenario) { p.Agent, p.Agents = 11, 12 })
	check("line breaks", func(p *clients.Plan, s *scenarios.Scenario) { p.Headers = []string{"A: b\r\nC: d"} })
	check("Name: value", func(p *clients.Plan, s *scenarios.Scenario) { p.Headers = []string{"A"} })
	check("phases", func(p *clients.Plan, s *scenarios.Scenario) { s.Phases = nil })
}

func TestCancelEndsSoonWithWhatWasMeasured(t *testing.T) {
	srv := start(t, reflect.Script{})
	e, err := New(plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) { s.Phases[0].For = scenarios.Duration(time.Minute) }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for srv.Handled.Load() < 100 {
			<-time.After(time.Millisecond)
		}
		cancel()
	}()
	r, err := e.Run(ctx, procfs.Monotonic())
	if err != nil {
		t.Fatal(err)
	}
	checkSums(t, r)
	if !r.Interrupted || r.Planned < 100 || r.DurationSeconds > 30 || len(r.Intervals) > 300 {
		t.Errorf("interrupted %v after %v s with %d planned", r.Interrupted, r.DurationSeconds, r.Planned)
	}
	if p := e.Progress(); p.Phase != "steady" || p.Open != 0 {
		t.Errorf("progress %+v", p)
	}
}

func TestWorkIsAskedForByItsShare(t *testing.T) {
	srv := start(t, reflect.Script{})
	change := func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Work = scenarios.Work{Kind: "sleep=1ms", Share: 25}
		s.Phases = []scenarios.Phase{steady(200, 5000), drain(100)}
	}
	r := run(t, plan(srv.URL(), change))
	only(t, r, "ok")
	first := srv.Worked.Load()
	// Binomial with n = 1000 and p = 1/4: mean 250, standard deviation 13.7.
	if math.Abs(float64(first)-250) > 5*13.7 {
		t.Errorf("%d of %d asked for work", first, r.Planned)
	}
	run(t, plan(srv.URL(), change))
	if again := srv.Worked.Load() - first; again != first {
		t.Errorf("%d asked for work, then %d with the same seed", first, again)
	}
}

func TestLogsHoldWhatTheReportSays(t *testing.T) {
	srv := start(t, reflect.Script{})
	dir := t.TempDir()
	r := run(t, plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) {
		p.LogDir = dir
		s.Phases = append(s.Phases, steady(400, 1500), drain(100))
		s.Phases[0].Name = "first"
	}))
	only(t, r, "ok")
	for file, want := range map[string]int64{"response.hlog": 800, "service.hlog": 800, "lag.hlog": 800} {
		tags := map[string]int64{}
		for _, e := range readLog(t, dir, file) {
			tags[e.Tag] += e.Histogram.Count()
		}
		if tags["first"] != 200 || tags["first"]+tags["steady"] != want {
			t.Errorf("%s: %v", file, tags)
		}
	}
}

// readLog reads one of a load's logs.
func readLog(t *testing.T, dir, file string) []hist.Entry {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := hist.ReadLog(f)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}
