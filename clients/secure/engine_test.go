package secure_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

func TestMain(m *testing.M) {
	// As `millrace load` does: room for the engine's threads, for handshakes and for the rest.
	runtime.GOMAXPROCS(2*runtime.NumCPU() + 1)
	goleak.VerifyTestMain(m)
}

const hello = "hello, world!"

func ms(n int) scenarios.Duration { return scenarios.Duration(time.Duration(n) * time.Millisecond) }

// steady is a phase at a constant rate, drain one in which the last requests are answered.
func steady(for_ int, rate float64) scenarios.Phase {
	return scenarios.Phase{Name: "steady", Load: "steady", For: ms(for_), Measure: true, Active: 100, Arrivals: scenarios.Arrivals{Constant: scenarios.Rate(rate)}}
}

func drain(for_ int) scenarios.Phase {
	return scenarios.Phase{Name: "drain", Load: "steady", For: slow * ms(for_)}
}

// plan is a small open loop, changed by the tests.
func plan(url string, a *authority, change func(*clients.Plan, *scenarios.Scenario)) *clients.Plan {
	p := &clients.Plan{
		URL: url, Engine: "tls", Seed: 1, Agents: 1, StartWhenOpen: true, CheckBody: []byte(hello), TLS: &clients.TLS{Authorities: a.pem},
		Scenario: scenarios.Scenario{
			Name: "test", Why: "to test", Protocol: "http1", Connections: scenarios.Connections{Count: 5},
			Phases: []scenarios.Phase{steady(200, 100), drain(450)},
		},
	}
	if change != nil {
		change(p, &p.Scenario)
	}
	return p
}

// origin is the plain server behind a front.
func origin(t testing.TB, s reflect.Script) *reflect.Reflector {
	t.Helper()
	s.Protocol, s.Body = "http1", []byte(hello)
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

func runFor(ctx context.Context, p *clients.Plan) (*clients.Report, error) {
	e, err := reactor.New(p)
	if err != nil {
		return nil, err
	}
	return e.Run(ctx, procfs.Monotonic())
}

// run runs a plan and checks what is true of every report.
func run(t testing.TB, p *clients.Plan) *clients.Report {
	t.Helper()
	r, err := runFor(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	return r
}

func check(t testing.TB, r *clients.Report) {
	t.Helper()
	var sum int64
	for _, n := range r.Outcomes {
		sum += n
	}
	if sum != r.Planned || r.Engine != "tls" || r.TLS == nil || r.TLS.Handshakes != r.ConnectionsOpened {
		t.Errorf("planned %d, outcomes %v, engine %s, %d connections opened, TLS %+v", r.Planned, r.Outcomes, r.Engine, r.ConnectionsOpened, r.TLS)
	}
}

func only(t *testing.T, r *clients.Report, outcome string) {
	t.Helper()
	if r.Planned == 0 || r.Outcomes[outcome] != r.Planned {
		t.Errorf("outcomes %v, want %d %s; last error %q", r.Outcomes, r.Planned, outcome, r.TLS.LastError)
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
	t.Parallel()
	a := newAuthority(t)
	part, wait := together(t)
	defer wait()
	check := func(name string, s reflect.Script, f *front, change func(*clients.Plan, *scenarios.Scenario)) {
		part(name, func(t *testing.T) {
			srv := origin(t, s)
			f.to = srv.URL()
			p := plan(f.serve(t, a), a, change)
			r := run(t, p)
			only(t, r, "ok")
			if srv.Handled.Load() != r.Planned || f.accepted.Load() != r.ConnectionsOpened || r.ConnectionsOpened != r.ConnectionsWanted {
				t.Errorf("server handled %d of %d requests on %d connections, %d opened, %d wanted",
					srv.Handled.Load(), r.Planned, f.accepted.Load(), r.ConnectionsOpened, r.ConnectionsWanted)
			}
			if r.BodyBytesIn != r.Planned*int64(len(p.CheckBody)) || r.LagNs.Count != r.Planned {
				t.Errorf("%d bytes of bodies, lag of %d requests", r.BodyBytesIn, r.LagNs.Count)
			}
			if r.TLS.Resumed != 0 || !r.TLS.Verified || r.TLS.HandshakeNs.Count != r.ConnectionsOpened {
				t.Errorf("TLS %+v: want every handshake full and verified", r.TLS)
			}
		})
	}
	pipelined := func(_ *clients.Plan, s *scenarios.Scenario) { s.Connections.Pipeline, s.Connections.Count = 7, 3 }
	check("TLS 1.3", reflect.Script{}, &front{}, nil)
	check("TLS 1.2", reflect.Script{}, &front{}, func(p *clients.Plan, _ *scenarios.Scenario) { p.TLS.Max = "1.2" })
	check("with a body", reflect.Script{}, &front{}, func(p *clients.Plan, _ *scenarios.Scenario) { p.Body = []byte(hello) })
	check("with a body of many records", reflect.Script{}, &front{}, func(p *clients.Plan, s *scenarios.Scenario) {
		p.Body = []byte(strings.Repeat(hello, 1000))
		p.CheckBody = p.Body
	})
	check("pipelined", reflect.Script{Delay: 2 * time.Millisecond}, &front{}, pipelined)
	check("a record for every byte", reflect.Script{}, &front{piece: 1}, nil)
	check("a segment for every byte", reflect.Script{}, &front{dribble: true}, pipelined)
	check("in chunks", reflect.Script{Fault: reflect.FaultChunked}, &front{}, pipelined)
	check("sources", reflect.Script{}, &front{}, func(p *clients.Plan, _ *scenarios.Scenario) { p.Sources = []string{"127.0.0.2", "127.0.0.3"} })
	check("opened at a rate", reflect.Script{}, &front{}, func(p *clients.Plan, s *scenarios.Scenario) { s.Connections.Rate, p.StartWhenOpen = 100, false })
	for _, policy := range []string{"fin-client", "fin-server", "rst"} {
		check(policy, reflect.Script{}, &front{}, func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Connections.Requests, s.Connections.Close = 1, policy
		})
		check(policy+" after 5", reflect.Script{}, &front{}, func(_ *clients.Plan, s *scenarios.Scenario) {
			s.Connections.Requests, s.Connections.Close, s.Connections.Pipeline = 5, policy, 2
		})
	}
}

func TestWhoEndsTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	part, wait := together(t)
	defer wait()
	for policy, tells := range map[string]bool{"fin-client": true, "rst": false} {
		part(policy, func(t *testing.T) {
			f := &front{to: origin(t, reflect.Script{}).URL()}
			r := run(t, plan(f.serve(t, a), a, func(_ *clients.Plan, s *scenarios.Scenario) {
				s.Connections.Requests, s.Connections.Close = 1, policy
			}))
			only(t, r, "ok")
			if told := f.notified.Load(); tells && told != r.Planned || !tells && told != 0 {
				t.Errorf("the end of TLS was told on %d of %d connections", told, r.Planned)
			}
		})
	}
}

func TestEveryFaultFallsIntoItsDrawer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	part, wait := together(t)
	defer wait()
	check := func(s reflect.Script, f *front, outcome string) {
		part(s.Fault+" "+outcome, func(t *testing.T) {
			f.to = origin(t, s).URL()
			only(t, run(t, plan(f.serve(t, a), a, func(p *clients.Plan, s *scenarios.Scenario) {
				if outcome == "timeout" { // of the only request on each connection
					s.Connections.Count, s.Timeout = 20, slow*ms(300)
				}
			})), outcome)
		})
	}
	check(reflect.Script{Fault: reflect.FaultSilent}, &front{}, "timeout")
	check(reflect.Script{Fault: reflect.FaultReset}, &front{}, "reset")
	check(reflect.Script{Fault: reflect.FaultClose}, &front{}, "eof")
	check(reflect.Script{Fault: reflect.FaultShort}, &front{}, "eof")
	check(reflect.Script{Fault: reflect.FaultWrongBody}, &front{}, "bad_payload")
	check(reflect.Script{Fault: reflect.FaultGarbage}, &front{}, "protocol_error")
	check(reflect.Script{Fault: reflect.FaultBytewise}, &front{}, "ok")
	check(reflect.Script{Fault: reflect.FaultToEOF}, &front{}, "ok")
	// Without the end of TLS, anyone may have cut such a reply off.
	check(reflect.Script{Fault: reflect.FaultToEOF}, &front{truncate: true}, "eof")
	check(reflect.Script{Status: 500}, &front{}, "http_error")
	check(reflect.Script{Status: 404}, &front{}, "http_error")
}

// The first ten handshakes go well, and so do the requests that needed them; the others as the part says.
func TestEveryFailedHandshakeFallsIntoItsDrawer(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	part, wait := together(t)
	defer wait()
	const good = 10
	check := func(name string, f *front, outcome string) {
		part(name, func(t *testing.T) {
			f.to, f.from = origin(t, reflect.Script{}).URL(), good+1
			r := run(t, plan(f.serve(t, a), a, func(_ *clients.Plan, s *scenarios.Scenario) {
				s.Connections = scenarios.Connections{Count: 100, Requests: 1, Close: "rst"}
				s.Timeout = slow * ms(250)
			}))
			if r.Outcomes["ok"] != good || r.Outcomes[outcome] != r.Planned-good || r.ConnectFailures != r.Planned-good {
				t.Errorf("outcomes %v, %d failed to connect, last error %q: want %d ok and the rest %s", r.Outcomes, r.ConnectFailures, r.TLS.LastError, good, outcome)
			}
			// An error of the socket is told by its own kind.
			kind := map[string]string{"reset": "reset", "connect_timeout": "timed_out"}[outcome]
			if kind = cmp.Or(kind, "handshake"); r.ConnectFailuresByKind[kind] != r.ConnectFailures {
				t.Errorf("%d failed to connect, by kind %v: want %s", r.ConnectFailures, r.ConnectFailuresByKind, kind)
			}
		})
	}
	after := func(then func(*tls.Config)) *front {
		f := &front{config: &tls.Config{Certificates: []tls.Certificate{a.certificate}}}
		bad := f.config.Clone()
		then(bad)
		f.config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			if f.handshakes.Add(1) <= good {
				return nil, nil
			}
			if len(bad.Certificates) == 0 {
				return nil, errors.New("no certificate for anyone")
			}
			return bad, nil
		}
		return f
	}
	check("silent", &front{spoil: "silent"}, "connect_timeout")
	check("garbage", &front{spoil: "garbage"}, "protocol_error")
	check("close", &front{spoil: "close"}, "eof")
	check("reset", &front{spoil: "reset"}, "reset")
	check("alert", after(func(c *tls.Config) { c.Certificates = nil }), "refused")
	check("another certificate", after(func(c *tls.Config) { c.Certificates = []tls.Certificate{stranger.certificate} }), "refused")
}
