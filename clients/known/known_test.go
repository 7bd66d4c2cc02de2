package known

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/clients/vegeta"
)

// TestMain is the reflectors' process where it is told so, and otherwise runs the tests.
func TestMain(m *testing.M) {
	if os.Getenv("KNOWN_REFLECTORS") != "" {
		if err := reflect.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// bench runs cases against reflectors in a process of their own, as `millrace selfcheck` does. In this one they would share two
// threads with vegeta's goroutines, and the one in which a reflector waits is missing from the scheduler for up to 10 ms: a
// p99 of 36 ms for 20 was measured so, and 20.4 ms beside it.
func bench(t *testing.T, engine string) *Bench {
	t.Setenv("KNOWN_REFLECTORS", "1")
	child, err := reflect.StartChild([]string{os.Args[0]}, nil, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := child.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Bench{
		Engine: engine, Tries: 3, QuietWithin: time.Second, Spin: runtime.NumCPU() > 1, Dir: t.TempDir(),
		New: func(p *clients.Plan) (clients.Engine, error) {
			if engine == "vegeta" {
				return vegeta.New(p)
			}
			p.Threads = max(runtime.NumCPU()-1, 1) // beside the reflector's
			return reactor.New(p)
		},
		Start: func(s reflect.Script) (Server, error) { return child.Start(s) },
	}
}

// The quick cases of `millrace selfcheck`. A case that is right in none of three tries, and
// was not disturbed in one of them, fails the test; where others took CPU time in all of them nobody knows whose fault it is. The books
// must be right whatever the others do.
func TestKnownAnswers(t *testing.T) {
	cases := Cases(true)
	if testing.Short() {
		cases = slices.DeleteFunc(cases, func(c Case) bool { return !c.Beside })
	}
	for _, engine := range []string{"epoll", "vegeta"} {
		t.Run(engine, func(t *testing.T) {
			undecided := 0
			err := bench(t, engine).Run(t.Context(), cases, func(r Result) {
				switch {
				case len(r.Books) > 0 || !r.Passed && !r.Disturbed:
					t.Errorf("%s, try %d: %s; before: %q", r.Case, r.Tries, r.Wrong(), r.Earlier)
				case !r.Passed:
					undecided++
					t.Logf("%s: undecided, others took %.0f %% of a CPU, and the reflector's stood still for %.2g %%: %s", r.Case, 100*r.Others, 100*r.Stalled, r.Wrong())
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if undecided > 0 {
				t.Skipf("%d of %d cases are undecided: the host was busy in every try", undecided, len(cases))
			}
		})
	}
}

// An engine that ran in place of another says nothing of that one.
func TestAnotherEngineIsNoAnswer(t *testing.T) {
	b := bench(t, "uring")
	b.Tries = 1
	b.New = func(p *clients.Plan) (clients.Engine, error) {
		e, err := reactor.New(p)
		return &liar{e, p, func(_ *clients.Plan, r *clients.Report) error {
			r.Engine, r.EngineNote = "epoll", "no io_uring here"
			return nil
		}}, err
	}
	cases := slices.DeleteFunc(Cases(true), func(c Case) bool { return c.Name != "status 404" })
	err := b.Run(t.Context(), cases, func(r Result) {
		if r.Passed || !strings.Contains(r.Wrong(), "engine uring was not checked: no io_uring here") {
			t.Errorf("%+v", r)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// liar is an engine that is wrong in one way.
type liar struct {
	clients.Engine
	plan *clients.Plan
	lie  func(p *clients.Plan, r *clients.Report) error
}

func (l *liar) Run(ctx context.Context, t0 int64) (*clients.Report, error) {
	r, err := l.Engine.Run(ctx, t0)
	if err != nil {
		return r, err
	}
	return r, l.lie(l.plan, r)
}

// Every lie that peers tell is found by a case.
func TestLiesAreFound(t *testing.T) {
	find := func(name, part, want string, change func(*clients.Plan), lie func(*clients.Plan, *clients.Report) error) {
		t.Run(name, func(t *testing.T) {
			b := bench(t, "epoll")
			b.Tries = 1
			b.Prepare = change
			b.New = func(p *clients.Plan) (clients.Engine, error) {
				e, err := reactor.New(p)
				return &liar{e, p, lie}, err
			}
			cases := slices.DeleteFunc(Cases(true), func(c Case) bool { return !strings.Contains(c.Name, part) })
			found := false
			if err := b.Run(t.Context(), cases, func(r Result) { found = found || strings.Contains(r.Wrong(), want) }); err != nil {
				t.Fatal(err)
			}
			if !found || len(cases) == 0 {
				t.Errorf("%d cases with %q did not find %q", len(cases), part, want)
			}
		})
	}
	honest := func(*clients.Plan, *clients.Report) error { return nil }
	omission := func(p *clients.Plan, _ *clients.Report) error {
		data, err := os.ReadFile(filepath.Join(p.LogDir, "service.hlog"))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(p.LogDir, "response.hlog"), data, 0o600)
	}
	find("the clock starts when a request is sent: stalls", "stalls, 10", "want 75.0 ms", nil, omission)
	find("the clock starts when a request is sent: freeze", "freeze in", "want 120 ms", nil, omission)
	find("bodies are not compared", "× 8", "bad_payload 0, want", func(p *clients.Plan) { p.CheckBody = nil }, honest)
	find("what is in flight at the end is dropped", "freeze at the end", "outcomes in all", nil, func(_ *clients.Plan, r *clients.Report) error {
		r.Outcomes["in_flight"] = 0
		return nil
	})
	find("what is in flight at the end was never planned", "freeze at the end", "in_flight 0, want 50", nil, func(_ *clients.Plan, r *clients.Report) error {
		r.Planned -= r.Outcomes["in_flight"]
		r.Outcomes["in_flight"] = 0
		return nil
	})
	find("infinite percentiles are given", "freeze at the end", "p99 3.00 s, want –", nil, func(_ *clients.Plan, r *clients.Report) error {
		r.ResponseNs.P99 = new(int64)
		*r.ResponseNs.P99 = 3e9
		return nil
	})
	find("a dead connection is tried again", "closes without", "eof 19, want 20", nil, func(_ *clients.Plan, r *clients.Report) error {
		r.Outcomes["eof"]--
		r.Outcomes["ok"]++
		return nil
	})
	find("a second loses a request", "status 404", "outcomes of second 0: 99, want 100", nil, func(_ *clients.Plan, r *clients.Report) error {
		r.PerSecond[0].Outcomes["http_error"]--
		return nil
	})
	find("arrivals are skipped", "status 404", "the schedule has", func(p *clients.Plan) {
		p.Scenario.Phases[0].Arrivals = constant(drawerRate / 2)
	}, func(p *clients.Plan, _ *clients.Report) error {
		p.Scenario.Phases[0].Arrivals = constant(drawerRate)
		return nil
	})
}

func TestNamesOfCasesDiffer(t *testing.T) {
	for _, quick := range []bool{true, false} {
		seen := map[string]bool{}
		for _, c := range Cases(quick) {
			if seen[c.Name] {
				t.Errorf("two cases are named %q", c.Name)
			}
			seen[c.Name] = true
		}
	}
}
