package crew_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/crew"
	"github.com/millrace/millrace/clients/crew/member"
	"github.com/millrace/millrace/clients/reactor"
	"github.com/millrace/millrace/clients/recording"
	"github.com/millrace/millrace/clients/reflect/raw"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/scenarios"
)

// role names the environment variable that makes this test's program a member, and what becomes of agent 1.
const role = "CREW_TEST_MEMBER"

func TestMain(m *testing.M) {
	switch how := os.Getenv(role); how {
	case "":
		goleak.VerifyTestMain(m)
	case "good":
		os.Exit(member.Main())
	case "deaf": // says that it lives, and reads nothing
		select {}
	default:
		_ = crew.Serve(context.Background(), os.Stdin, os.Stdout, func(p *clients.Plan) (crew.Engine, error) {
			e, err := reactor.New(p)
			if err != nil || p.Agent != 1 {
				return e, err
			}
			if how == "dies first" {
				os.Exit(7)
			}
			return &mortal{Engine: e}, nil
		})
	}
}

// mortal is an engine whose process ends as soon as it is told when to start.
type mortal struct{ *reactor.Engine }

func (m *mortal) Start(int64) { os.Exit(7) }

func (m *mortal) RunPart(ctx context.Context, t0 int64) (*recording.Part, error) {
	return m.Engine.RunPart(ctx, t0)
}

var _ crew.Engine = (*mortal)(nil)

func config(t *testing.T, how string, members int) crew.Config {
	t.Helper()
	return crew.Config{Command: []string{os.Args[0]}, Env: []string{role + "=" + how}, Members: members, Stderr: os.Stderr, Spool: t.TempDir()}
}

// serve starts reflectors that end with the test, and returns their URLs.
func serve(t *testing.T, n int) (urls []string) {
	t.Helper()
	for range n {
		r, err := raw.Listen(raw.Config{Protocol: "http1", Listen: "127.0.0.1:0", Payload: 13})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			r.Serve()
			close(done)
		}()
		t.Cleanup(func() {
			r.Close()
			<-done
		})
		urls = append(urls, "http://"+r.Addr()+"/")
	}
	return urls
}

func planFor(urls []string, connections int, length time.Duration) *clients.Plan {
	p := &clients.Plan{URL: urls[0], Engine: "epoll", Agents: 1, Threads: 1, StartWhenOpen: true, Seed: 3, Scenario: scenarios.Scenario{
		Name: "crew", Why: "A test.", Protocol: "http1", Connections: scenarios.Connections{Count: connections},
		Phases: []scenarios.Phase{
			{Name: "load", Load: "steady", Measure: true, For: scenarios.Duration(length), Arrivals: scenarios.Arrivals{Constant: 3000}},
			{Name: "drain", Load: "steady", For: scenarios.Duration(200 * time.Millisecond)},
		},
	}}
	if len(urls) > 1 {
		for _, u := range urls {
			p.Requests = append(p.Requests, clients.Request{URL: u})
		}
	}
	s, err := p.Scenario.Resolve()
	if err != nil {
		panic(err)
	}
	p.Scenario = *s
	return p
}

func find(r *clients.Report, name string) validity.Check {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	return validity.Check{}
}

// alone fails unless this process has no children left.
func alone(t *testing.T) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Skipf("no lists of children: %v", err)
	}
	for _, list := range lists {
		if text, err := os.ReadFile(list); err == nil && len(strings.TrimSpace(string(text))) > 0 {
			t.Errorf("children left: %s", text)
		}
	}
}

func TestThreeMembersMakeOneLoad(t *testing.T) {
	var told int64
	c := config(t, "good", 3)
	c.Opened = func(n int64) { told = n }
	r, err := crew.Run(t.Context(), c, planFor(serve(t, 2), 31, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	alone(t)
	var sum, before int64
	for _, n := range r.Outcomes {
		sum += n
	}
	for _, in := range r.Intervals {
		before += in.Opened
	}
	if r.Planned != 3000 || sum != 3000 || r.Outcomes["ok"] != 3000 || r.ResponseNs.Count != 3000 || find(r, "outcome identity").State != validity.OK {
		t.Errorf("planned %d, outcomes %v, %d latencies: want 3000 of each", r.Planned, r.Outcomes, r.ResponseNs.Count)
	}
	// The phases start when all connections of all members are open.
	if told != 31 || r.ConnectionsOpened != 31 || r.ConnectionsWanted != 31 || before != 0 || r.ConnectNs.Count != 31 {
		t.Errorf("%d open at the start, %d opened in all, %d of them later: want 31, 31 and none", told, r.ConnectionsOpened, before)
	}
	if len(r.Agents) != 3 || r.Agents[0].ConnectionsOpened != 11 || r.Agents[2].Planned != 1000 || r.Interrupted {
		t.Errorf("members %+v: want three, with their shares", r.Agents)
	}
	if a := find(r, "agents"); a.State != validity.OK || a.Value != 3 || find(r, "start skew").State == "" {
		t.Errorf("check %+v of %v", a, r.Checks)
	}
}

func TestAMemberThatDiesVoidsTheLoad(t *testing.T) {
	r, err := crew.Run(t.Context(), config(t, "dies late", 3), planFor(serve(t, 1), 30, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	alone(t)
	if a := find(r, "agents"); a.State != validity.Fail || !strings.Contains(a.Reason, "1 of 3 agents were lost: process 2 of 3") ||
		!strings.Contains(a.Reason, "exit status 7") || r.Verdict != validity.Invalid {
		t.Errorf("%s, %+v: want INVALID for process 2", r.Verdict, a)
	}
	if len(r.Agents) != 2 || !r.Interrupted || r.DurationSeconds > 10 {
		t.Errorf("%d members told, interrupted %t after %v s: want the others ended early", len(r.Agents), r.Interrupted, r.DurationSeconds)
	}
}

func TestAMemberThatDiesBeforeTheLoadIsAnError(t *testing.T) {
	r, err := crew.Run(t.Context(), config(t, "dies first", 3), planFor(serve(t, 1), 30, time.Second))
	alone(t)
	if r != nil || err == nil || !strings.Contains(err.Error(), "process 2 of 3 is lost: exit status 7") {
		t.Errorf("report %v, error %v: want one of process 2", r, err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := config(t, "good", 2)
	// Some time after the start of the phases.
	c.Opened = func(int64) { time.AfterFunc(700*time.Millisecond, cancel) }
	r, err := crew.Run(ctx, c, planFor(serve(t, 1), 10, time.Minute))
	alone(t)
	if err != nil || !r.Interrupted || r.Planned == 0 || r.DurationSeconds > 30 || find(r, "agents").State != validity.OK {
		t.Errorf("error %v, report %+v: want what was measured until then", err, r)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if r, err := crew.Run(ctx, config(t, "good", 2), planFor(serve(t, 1), 10, time.Minute)); r != nil || err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("interrupted at once: %v, %v", r, err)
	}
	alone(t)
}

func TestWhatCannotBeMade(t *testing.T) {
	check := func(want string, c crew.Config, p *clients.Plan) {
		t.Helper()
		r, err := crew.Run(t.Context(), c, p)
		if r != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		alone(t)
	}
	p := planFor(serve(t, 1), 10, time.Second)
	check("want 1 to 256", config(t, "good", 0), p)
	check("want 1 to 256", config(t, "good", 257), p)
	check("10 connections: want at least one each", config(t, "good", 11), p)
	none := config(t, "good", 2)
	none.Command = []string{"/no/such/program"}
	check("starting process 1", none, p)
	nobody := planFor([]string{"http://127.0.0.1:1/"}, 10, time.Second)
	check("connection refused", config(t, "good", 2), nobody)
	wrong := planFor(serve(t, 1), 10, time.Second)
	wrong.Engine = "vegeta"
	check(`engine "vegeta": want one of [epoll uring tls]`, config(t, "good", 2), wrong)
}

// A member that nobody gives orders says who does.
func TestServeWithoutOrders(t *testing.T) {
	for _, in := range []string{"", "{}\n", "nonsense"} {
		if err := crew.Serve(t.Context(), strings.NewReader(in), os.Stderr, nil); err == nil || !strings.Contains(err.Error(), "reading the plan") {
			t.Errorf("%q: error %v", in, err)
		}
	}
}

// idle is an engine that measures nothing.
type idle struct{}

func (idle) Hold(func(int64)) {}
func (idle) Start(int64)      {}
func (idle) RunPart(context.Context, int64) (*recording.Part, error) {
	return &recording.Part{}, nil
}

// A member of a run, whose T0 is fixed before, tells how late it learned of it.
func TestLateOrderOfARunIsTold(t *testing.T) {
	for _, late := range []time.Duration{0, time.Second} {
		var out bytes.Buffer
		t0 := procfs.Monotonic() - int64(late)
		if late == 0 {
			t0 += int64(time.Hour)
		}
		orders := fmt.Sprintf(`{"plan":{},"logs":"x"}{"connect_ns":%d,"fixed":true}`, t0)
		in, more := io.Pipe()
		go io.WriteString(more, orders)
		if err := crew.Serve(t.Context(), in, &out, func(*clients.Plan) (crew.Engine, error) { return idle{}, nil }); err != nil {
			t.Fatal(err)
		}
		more.Close()
		var said struct {
			Part *recording.Part `json:"part"`
		}
		for lines := json.NewDecoder(&out); said.Part == nil; {
			if err := lines.Decode(&said); err != nil {
				t.Fatal(err)
			}
		}
		if got := said.Part.LateNs; got < int64(late) || late == 0 && got != 0 {
			t.Errorf("late by %d ns, want at least %v", got, late)
		}
	}
}

// A member that does not read its plan, which a pipe does not hold, is given up.
func TestAMemberThatDoesNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a member may leave its orders")
	}
	p := planFor(serve(t, 1), 10, time.Second)
	p.Body = bytes.Repeat([]byte("x"), 1<<20)
	if _, err := crew.New(config(t, "deaf", 1), p); err == nil || !strings.Contains(err.Error(), "process 1 of 1 is lost: signal: killed") {
		t.Errorf("error %v", err)
	}
	alone(t)
}
