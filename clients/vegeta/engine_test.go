package vegeta

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// aPlan is one phase against a URL, starting when all connections are open.
func aPlan(url string, connections int, length time.Duration, a scenarios.Arrivals) *clients.Plan {
	s := scenarios.Scenario{
		Name: "test", Why: "to test", Protocol: "http1", Connections: scenarios.Connections{Count: connections},
		Phases: []scenarios.Phase{{Name: "load", For: scenarios.Duration(length), Arrivals: a, Measure: true}},
	}
	r, err := s.Resolve()
	if err != nil {
		panic(err)
	}
	return &clients.Plan{URL: url, Engine: "vegeta", Scenario: *r, Seed: 7, Agents: 1, StartWhenOpen: true}
}

// serve runs a handler until the test ends.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Hello, World!") }

// mustRun makes the load and checks what holds of every report.
func mustRun(t *testing.T, plan *clients.Plan) *clients.Report {
	t.Helper()
	return runCtx(t, context.Background(), plan)
}

func runCtx(t *testing.T, ctx context.Context, plan *clients.Plan) *clients.Report {
	t.Helper()
	e, err := New(plan)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Run(ctx, procfs.Monotonic())
	if err != nil {
		t.Fatal(err)
	}
	checkIdentity(t, r)
	if p := e.Progress(); p.InFlight != 0 || p.Open != 0 {
		t.Errorf("progress after the end %+v", p)
	}
	return r
}

// checkIdentity checks that planned requests and outcomes add up in all, in every phase and in the intervals.
func checkIdentity(t *testing.T, r *clients.Report) {
	t.Helper()
	sum := func(m map[string]int64) (n int64) {
		for _, v := range m {
			n += v
		}
		return n
	}
	short := r.ConnectFailuresByKind["no_ports"] + r.ConnectFailuresByKind["no_files"]
	if r.Outcomes["refused"] != r.ConnectFailuresByKind["refused"] || r.Outcomes["no_port"] != short || r.Outcomes["refused"]+short != r.ConnectFailures {
		t.Errorf("%d connects failed, by kind %v, outcomes %v", r.ConnectFailures, r.ConnectFailuresByKind, r.Outcomes)
	}
	var phases, windows, ended int64
	for _, p := range r.Phases {
		if sum(p.Outcomes) != p.Planned {
			t.Errorf("phase %s: %d planned, outcomes %v", p.Name, p.Planned, p.Outcomes)
		}
		phases += p.Planned
	}
	for _, w := range r.Intervals {
		windows += w.Planned
		ended += w.OK + w.Failed
	}
	if sum(r.Outcomes) != r.Planned || phases != r.Planned || len(r.Intervals) > 0 && (windows != r.Planned || ended != r.Planned) {
		t.Errorf("%d planned, %d in phases, %d in intervals, %d ended there, outcomes %v", r.Planned, phases, windows, ended, r.Outcomes)
	}
	if c := check(r, "silent retry"); c.State != validity.OK {
		t.Errorf("check %+v", c)
	}
}

func check(r *clients.Report, name string) validity.Check {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	return validity.Check{}
}

// TestFixedDelay: with a server that answers after 20 ms, and connections enough, no latency is less, and the mean is not
// much more.
func TestFixedDelay(t *testing.T) {
	const delay = 20 * time.Millisecond
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-time.After(delay)
		hello(w, r)
	})
	plan := aPlan(url, 32, 500*time.Millisecond, scenarios.Arrivals{Constant: 400})
	plan.CheckBody = []byte("Hello, World!")
	r := mustRun(t, plan)
	if r.Planned != 200 || r.Outcomes["ok"]+r.Outcomes["in_flight"]+r.Outcomes["unsent"] != 200 || r.Outcomes["ok"] < 100 {
		t.Errorf("%d planned, outcomes %v: want 200, at most the last ones in flight", r.Planned, r.Outcomes)
	}
	for name, s := range map[string]float64{"response": r.ResponseNs.Mean, "service": r.ServiceNs.Mean} {
		if s < float64(delay) || s > 3*float64(delay) {
			t.Errorf("mean %s %v, want %v and a little", name, time.Duration(s), delay)
		}
	}
	if r.ConnectionsOpened != 32 || r.ConnectionsWanted != 32 || r.ConnectNs.Count != 32 {
		t.Errorf("%d connections opened, %d wanted, %d times: want 32", r.ConnectionsOpened, r.ConnectionsWanted, r.ConnectNs.Count)
	}
	if want := 13 * r.Outcomes["ok"]; r.BodyBytesIn != want || r.ClientPeakRSSBytes == 0 || r.ClientCPUSeconds <= 0 || r.Congestion == "" {
		t.Errorf("body bytes %d, want %d; report %+v", r.BodyBytesIn, want, r)
	}
}

// TestFreeze: the server stops for a second in the middle of two, at a constant rate R. A request intended x after the
// freeze began is answered 1 s − x later at the earliest, so that (1 s − y)·R of them take longer than y. That is one in a
// hundred of all 2 s·R where
//
//	y = 1 s − 0.01 · 2 s = 0.98 s
//
// and the way out of those due before adds a little: 0.02 s·R = 12 requests. Vegeta's own clock starts when a worker is
// free, so that only the requests on the 8 connections look slow: 8 of 1200, which don't reach its p99.
// A phase without arrivals follows, so that a slow host gets done.
func TestFreeze(t *testing.T) {
	const rate, freeze = 600, time.Second
	var seen, until atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) == rate/2 {
			until.Store(procfs.Monotonic() + int64(freeze))
		}
		if d := until.Load() - procfs.Monotonic(); d > 0 {
			<-time.After(time.Duration(d))
		}
		hello(w, r)
	})
	plan := aPlan(url, 8, 2*time.Second, scenarios.Arrivals{Constant: rate})
	plan.Scenario.Phases = append(plan.Scenario.Phases, scenarios.Phase{Name: "drain", Load: "steady", For: scenarios.Duration(time.Second)})
	plan.LogDir = t.TempDir()
	r := mustRun(t, plan)
	if r.Planned != 2*rate || r.Outcomes["ok"] != r.Planned {
		t.Fatalf("%d planned, outcomes %v", r.Planned, r.Outcomes)
	}
	if p99 := logged(t, plan, "response"); p99 < 970*time.Millisecond || p99 > 1200*time.Millisecond {
		t.Errorf("p99 of the response time %v, want 980ms and a little", p99)
	}
	if p99 := logged(t, plan, "service"); p99 > 300*time.Millisecond {
		t.Errorf("p99 of the service time %v: want it not to show the freeze", p99)
	}
	// Waiting for a connection is not the client's own fault.
	if p99 := logged(t, plan, "lag"); p99 > 300*time.Millisecond {
		t.Errorf("p99 of the lag %v: the freeze is in it", p99)
	}
	if c := check(r, "open loop"); c.State != validity.Warn || c.Value < rate/2 {
		t.Errorf("check %+v: want it to tell of some %d that waited", c, rate)
	}
}

// logged is the p99 of one of a plan's histogram logs, which needs no minimum of values.
func logged(t *testing.T, plan *clients.Plan, kind string) time.Duration {
	t.Helper()
	f, err := os.Open(filepath.Join(plan.LogDir, kind+".hlog"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := hist.ReadLog(f)
	if err != nil {
		t.Fatal(err)
	}
	h := hist.New()
	for _, e := range entries {
		h.Merge(e.Histogram)
	}
	return time.Duration(h.Quantile(0.99))
}

// TestArrivals: what is planned is the schedule, whatever the server does with it.
func TestArrivals(t *testing.T) {
	url := serve(t, hello)
	for _, a := range []scenarios.Arrivals{{Constant: 1000}, {Poisson: 1000}, {Burst: 333}} {
		for agent := range 2 {
			plan := aPlan(url, 8, 100*time.Millisecond, a)
			plan.Agent, plan.Agents = agent, 2
			var want int64
			for c := arrivals.NewSchedule(&plan.Scenario, plan.Seed).Cursor(agent, 2); ; want++ {
				if _, _, ok := c.Next(); !ok {
					break
				}
			}
			if r := mustRun(t, plan); r.Planned != want || r.ConnectionsOpened != 4 {
				t.Errorf("%+v, agent %d of 2: %d planned, want %d; %d connections opened, want 4", a, agent, r.Planned, want, r.ConnectionsOpened)
			}
		}
	}
}

func TestWorkShare(t *testing.T) {
	var work, rest atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/work":
			work.Add(1)
		case r.URL.RequestURI() != "/?a=1" || r.Host != "example.org" || r.Header.Get("X-Id") != "7" || len(r.Header) != 1:
			t.Errorf("request %s, Host %s, header %v", r.URL, r.Host, r.Header)
		}
		rest.Add(1)
	})
	plan := aPlan(url+"/?a=1", 4, 200*time.Millisecond, scenarios.Arrivals{Constant: 1000})
	plan.Headers = []string{"X-Id: 7", "Host: example.org"}
	plan.Scenario.Work = scenarios.Work{Kind: "cpu=1us", Share: 25}
	r := mustRun(t, plan)
	var want int64
	for n := range r.Planned {
		if arrivals.AsksForWork(plan.Seed, n, 25) {
			want++
		}
	}
	if r.Outcomes["ok"] == r.Planned && work.Load() != want {
		t.Errorf("%d of %d requests asked for work, want %d", work.Load(), r.Planned, want)
	}
}

// TestRequestsInTurn: several requests with counters, over TCP and over a unix socket, and replies held against them.
func TestRequestsInTurn(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a broken one shows below
		mu.Lock()
		asked[fmt.Sprintf("%s %s %s %s %s", r.Method, r.RequestURI, r.Host, r.Header.Get("X-Id"), body)]++
		mu.Unlock()
		_, _ = io.WriteString(w, "n="+r.Header.Get("X-Id"))
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	unix := &http.Server{Handler: http.HandlerFunc(answer)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = unix.Serve(l) }) // ends with Close
	defer serving.Wait()
	defer unix.Close()
	for _, socket := range []string{"", path} {
		mu.Lock()
		clear(asked)
		mu.Unlock()
		plan := aPlan(serve(t, answer), 4, 200*time.Millisecond, scenarios.Arrivals{Constant: 1000})
		url := plan.URL
		host := strings.TrimPrefix(url, "http://")
		plan.UnixSocket, plan.CheckBody = socket, []byte("n={n}")
		plan.Requests = []clients.Request{
			{URL: url + "/get/{n}", Headers: []string{"X-Id: {n}", "Host: other"}},
			{URL: url + "/put", Method: "PUT", Headers: []string{"X-Id: {n}"}, Body: []byte("body {n}")},
			{URL: url + "/head", Method: "HEAD"},
		}
		p := plan.Scenario.Phases[0] // in which the last are answered
		p.Name, p.Arrivals = "drain", scenarios.Arrivals{}
		plan.Scenario.Phases = append(plan.Scenario.Phases, p)
		r := mustRun(t, plan)
		if r.Outcomes["ok"] != 200 || r.BodyBytesOut == 0 {
			t.Errorf("socket %q: %v", socket, r.Outcomes)
		}
		mu.Lock()
		for n := range 200 {
			want := fmt.Sprintf("GET /get/%d other %d ", n, n)
			switch n % 3 {
			case 1:
				want = fmt.Sprintf("PUT /put %s %d body %d", host, n, n)
			case 2:
				want = fmt.Sprintf("HEAD /head %s  ", host)
			}
			if asked[want] == 0 {
				t.Errorf("socket %q: %q was not asked for", socket, want)
				break
			}
		}
		mu.Unlock()
	}
}

// TestPhases: open and closed phases and a pause on one axis, after connecting.
func TestPhases(t *testing.T) {
	plan := aPlan(serve(t, hello), 4, 100*time.Millisecond, scenarios.Arrivals{Constant: 500})
	plan.StartWhenOpen = false
	p := plan.Scenario.Phases[0]
	add := func(name string, a scenarios.Arrivals) {
		p.Name, p.Arrivals = name, a
		plan.Scenario.Phases = append(plan.Scenario.Phases, p)
	}
	add("pause", scenarios.Arrivals{})
	add("closed", scenarios.Arrivals{Closed: true})
	add("burst", scenarios.Arrivals{Burst: 30})
	plan.LogDir = t.TempDir()
	r := mustRun(t, plan)
	var got []string
	for _, p := range r.Phases {
		got = append(got, p.Name)
	}
	if strings.Join(got, " ") != "connect load pause closed burst" || r.Phases[1].FromNs != int64(time.Second) {
		t.Fatalf("phases %+v", r.Phases)
	}
	if r.Phases[1].Planned != 50 || r.Phases[2].Planned != 0 || r.Phases[3].Planned < 8 || r.Phases[4].Planned != 30 {
		t.Errorf("phases %+v", r.Phases)
	}
	if r.ConnectionsOpened != 4 || r.Phases[0].ConnectNs.Count != 4 || r.Interrupted {
		t.Errorf("%d connections opened, connect %+v", r.ConnectionsOpened, r.Phases[0])
	}
}

func TestClosedLoop(t *testing.T) {
	r := mustRun(t, aPlan(serve(t, hello), 4, 300*time.Millisecond, scenarios.Arrivals{Closed: true}))
	if r.Loop != "closed" || r.OfferedRPS != nil || r.Planned < 100 || r.ConnectionsOpened != 4 || r.Planned-r.Outcomes["ok"] > 4 {
		t.Errorf("%+v", r)
	}
}

func TestOneRequestAConnection(t *testing.T) {
	for _, policy := range []string{"fin-client", "rst"} {
		plan := aPlan(serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Close {
				t.Error("the client asks the server to close")
			}
			hello(w, r)
		}), 8, 200*time.Millisecond, scenarios.Arrivals{Constant: 300})
		plan.Scenario.Connections.Requests, plan.Scenario.Connections.Close = 1, policy
		plan.Sources = []string{"127.0.0.1", "127.0.0.2"}
		r := mustRun(t, plan)
		if r.Planned != 60 || r.Outcomes["ok"] < 50 || r.ConnectionsOpened != r.Planned-r.Outcomes["unsent"] || r.ConnectionsWanted != r.ConnectionsOpened {
			t.Errorf("%s: %d planned, outcomes %v, %d connections opened, %d wanted", policy, r.Planned, r.Outcomes, r.ConnectionsOpened, r.ConnectionsWanted)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var seen atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) == 50 {
			cancel()
		}
		select {
		case <-time.After(5 * time.Millisecond):
			hello(w, r)
		case <-r.Context().Done():
		}
	})
	begun := time.Now()
	r := runCtx(t, ctx, aPlan(url, 2, time.Hour, scenarios.Arrivals{Poisson: 2000}))
	if !r.Interrupted || time.Since(begun) > 5*time.Second {
		t.Errorf("interrupted %v after %v", r.Interrupted, time.Since(begun))
	}
	if r.Outcomes["unsent"] == 0 || r.Outcomes["ok"] < 40 || r.Planned > 10_000 {
		t.Errorf("%d planned, outcomes %v", r.Planned, r.Outcomes)
	}
}

// raw accepts connections and hands each one's requests to f until it returns false.
func raw(t *testing.T, f func(n int, c *net.TCPConn) bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for n := 1; ; n++ {
					if _, err := http.ReadRequest(in); err != nil || !f(n, c.(*net.TCPConn)) {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// say writes text and goes on, or closes.
func say(text string, goOn bool) func(int, *net.TCPConn) bool {
	return func(_ int, c *net.TCPConn) bool {
		fmt.Fprint(c, text)
		return goOn
	}
}

func TestOutcomes(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	once := func(p *clients.Plan) {
		p.Scenario.Connections.Requests, p.Scenario.Connections.Close = 1, "fin-client"
	}
	soon := func(p *clients.Plan) { p.Scenario.Timeout = scenarios.Duration(30 * time.Millisecond) }
	for _, c := range []struct {
		want   string
		url    string
		change func(*clients.Plan)
	}{
		{"ok", raw(t, say(ok, true)), nil},
		{"ok", raw(t, say("HTTP/1.0 200 OK\r\n\r\nok", false)), nil}, // the reply ends with the connection
		{"http_error", raw(t, say("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", true)), nil},
		{"bad_payload", raw(t, say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok!", true)), nil},
		{"bad_payload", raw(t, say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\no", true)), nil},
		{"protocol_error", raw(t, say("NOPE 200 fine\r\n\r\n", true)), nil},
		{"timeout", raw(t, say("", true)), soon},
		{"timeout", raw(t, say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", true)), soon},
		{"eof", raw(t, say("", false)), nil},
		{"eof", raw(t, say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", false)), nil},
		{"reset", raw(t, func(_ int, c *net.TCPConn) bool { c.SetLinger(0); return false }), nil},
		{"refused", "http://" + gone.Addr().String(), once},
		// TEST-NET-1 is no address of any host.
		{"no_port", raw(t, say(ok, true)), func(p *clients.Plan) { once(p); p.Sources = []string{"192.0.2.1"} }},
	} {
		plan := aPlan(c.url, 4, 80*time.Millisecond, scenarios.Arrivals{Constant: 150})
		plan.CheckBody = []byte("ok")
		if c.change != nil {
			c.change(plan)
		}
		r := mustRun(t, plan)
		if n := r.Outcomes[c.want]; r.Planned != 12 || n == 0 || n+r.Outcomes["in_flight"]+r.Outcomes["unsent"] != 12 {
			t.Errorf("want 12 %s: %d planned, outcomes %v", c.want, r.Planned, r.Outcomes)
		}
	}
}

// TestUnfinished: with two connections to a server that never answers, two requests are in flight at the end and the
// others were never sent.
func TestUnfinished(t *testing.T) {
	r := mustRun(t, aPlan(raw(t, say("", true)), 2, 100*time.Millisecond, scenarios.Arrivals{Constant: 100}))
	if r.Outcomes["in_flight"] != 2 || r.Outcomes["unsent"] != 8 {
		t.Errorf("outcomes %v: want 2 in flight, 8 unsent", r.Outcomes)
	}
}

// TestNoRetry: a server that answers the first request on a connection and closes or resets it at the second sees every
// request once.
func TestNoRetry(t *testing.T) {
	for _, end := range []string{"eof", "reset"} {
		var seen atomic.Int64
		url := raw(t, func(n int, c *net.TCPConn) bool {
			seen.Add(1)
			if n == 1 {
				return say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)(n, c)
			}
			if end == "reset" {
				c.SetLinger(0)
			}
			return false
		})
		r := mustRun(t, aPlan(url, 1, 200*time.Millisecond, scenarios.Arrivals{Constant: 200}))
		if r.Planned != 40 || r.Outcomes["ok"] < 10 || r.Outcomes[end] < 10 || r.Outcomes["ok"]+r.Outcomes[end]+r.Outcomes["in_flight"]+r.Outcomes["unsent"] != 40 {
			t.Errorf("%s: outcomes %v: want every other one", end, r.Outcomes)
		}
		if n := seen.Load(); n > r.Planned-r.Outcomes["unsent"] {
			t.Errorf("%s: the server saw %d requests, %d were sent", end, n, r.Planned-r.Outcomes["unsent"])
		}
		if c := check(r, "keep-alive truth"); c.State != validity.Warn {
			t.Errorf("%s: check %+v: want it to tell of %d connections", end, c, r.ConnectionsOpened)
		}
	}
}

func TestNothingMeasured(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	e, err := New(aPlan("http://"+gone.Addr().String(), 4, time.Second, scenarios.Arrivals{Constant: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(context.Background(), procfs.Monotonic()); err == nil || !strings.Contains(err.Error(), "opening connections: ") {
		t.Errorf("error %v", err)
	}
	if p := e.Progress(); p != (clients.Progress{}) {
		t.Errorf("progress %+v of a load that never began", p)
	}
}

func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		change func(*clients.Plan)
		want   string
	}{
		{func(p *clients.Plan) { p.URL = "frame://127.0.0.1:1" }, `scheme "frame": vegeta knows http only; --engine epoll`},
		{func(p *clients.Plan) { p.Scenario.Connections.Trickle = scenarios.Duration(time.Second) }, "connections.trickle 1s: vegeta can't"},
		{func(p *clients.Plan) { p.URL = "http:///x" }, "want http://host:port/path"},
		{func(p *clients.Plan) { p.Method = "GET /" }, `method "GET /": want a word such as GET`},
		{func(p *clients.Plan) { p.Headers = []string{"X-Id"} }, `header "X-Id": want "Name: value"`},
		{func(p *clients.Plan) { p.Scenario.Connections.Pipeline = 2 }, "connections.pipeline 2"},
		{func(p *clients.Plan) { p.Scenario.Connections.Requests = 2 }, "connections.requests 2"},
		{func(p *clients.Plan) {
			p.Scenario.Connections.Requests, p.Scenario.Connections.Close = 1, "fin-server"
		}, "connections.close fin-server"},
		{func(p *clients.Plan) { p.Scenario.Phases[0].Open = 1 }, "phases.load: vegeta can't climb"},
		{func(p *clients.Plan) { p.Scenario.Phases[0].Active = 1 }, "phases.load.active 1%"},
		{func(p *clients.Plan) { p.Sources = []string{"lo"} }, `source "lo": want an IP address`},
		{func(p *clients.Plan) { p.Sources = []string{"::1"} }, "no source address is of the same family"},
		{func(p *clients.Plan) {
			p.Requests = []clients.Request{{URL: "http://127.0.0.1:1/a"}, {URL: "http://127.0.0.1:2/b"}}
		}, "vegeta connects to one host and port: --engine epoll can several"},
		{func(p *clients.Plan) { p.URL = "https://127.0.0.1:1" }, `scheme "https": vegeta knows http only`},
		{func(p *clients.Plan) { p.UnixSocket, p.Sources = "/x", []string{"127.0.0.1"} }, "want neither"},
		{func(p *clients.Plan) { p.Agents = 5; p.Agent = 4 }, "leaves none for agent 4 of 5"},
		{func(p *clients.Plan) { p.Agents = 0 }, "agent 0 of 0"},
	} {
		plan := aPlan("http://127.0.0.1:1", 4, time.Second, scenarios.Arrivals{Constant: 1})
		c.change(plan)
		if _, err := New(plan); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q in it", err, c.want)
		}
	}
}
