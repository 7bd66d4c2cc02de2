package reactor

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	iouring "github.com/millrace/millrace/clients/reactor/ring"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

// needRing skips a test where there is no io_uring.
func needRing(t testing.TB) {
	t.Helper()
	if err := iouring.Probe(); err != nil {
		t.Skip(err)
	}
}

// uring is a plan for engine uring.
func uring(url string, change func(*clients.Plan, *scenarios.Scenario)) *clients.Plan {
	p := plan(url, change)
	p.Engine = uringName
	return p
}

// The transports must do the same. What has to do with none of them is left out, and what takes longest.
func TestOverUring(t *testing.T) {
	if testing.Short() || engineUnderTest == uringName {
		t.Skip("takes as long as all other tests")
	}
	needRing(t)
	cmd := exec.Command(os.Args[0], "-test.run", "Every|NoAllocation|Left|AServer|Nobody|Cancel|NoFile|"+
		"Steps|Closed|Burst|ConnectPhase|Several|Unix|FramesWith|BadPayload|FullSpeed|InParts|Garbage|TheEnd|NextSocket|Trickle|Held|Stamps")
	cmd.Env = append(os.Environ(), "REACTOR_TEST_ENGINE="+uringName)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the tests over %s: %v\n%s", uringName, err, out)
	}
}

func TestWithoutRingItIsEpoll(t *testing.T) {
	defer func(old func() error) { probeRing = old }(probeRing)
	probeRing = func() error { return errors.New("it is off: kernel.io_uring_disabled=2") }
	srv := start(t, reflect.Script{})
	r := run(t, uring(srv.URL(), nil))
	only(t, r, "ok")
	if r.Engine != "epoll" || !strings.Contains(r.EngineNote, "fell back to epoll") || !strings.Contains(r.EngineNote, "io_uring_disabled=2") {
		t.Errorf("engine %q, note %q: want epoll and why", r.Engine, r.EngineNote)
	}
}

func TestUringSaysSo(t *testing.T) {
	needRing(t)
	srv := start(t, reflect.Script{})
	if r := run(t, uring(srv.URL(), nil)); r.Engine != uringName || r.EngineNote != "" {
		t.Errorf("engine %q, note %q", r.Engine, r.EngineNote)
	}
}

// closedLoop makes every connection send its next request when the last one is answered.
func closedLoop(s *scenarios.Scenario, connections, ms int) {
	s.Connections.Count = connections
	s.Phases = []scenarios.Phase{steady(ms, 0)}
	s.Phases[0].Arrivals = scenarios.Arrivals{Closed: true}
}

// However fast it goes, each wrong body is found: as many as the server made, but for those on their way at the end.
func TestWrongBodiesAtFullSpeed(t *testing.T) {
	const connections = 200
	srv := start(t, reflect.Script{Fault: reflect.FaultWrongBody, Every: 7})
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) { closedLoop(s, connections, 500) }))
	made, found := srv.Faulty.Load(), r.Outcomes["bad_payload"]
	if made < 100 || found > made || found < made-connections {
		t.Errorf("%d wrong bodies made, %d found; outcomes %v", made, found, r.Outcomes)
	}
	if r.Outcomes["ok"]+found+r.Outcomes["in_flight"] != r.Planned {
		t.Errorf("outcomes %v, planned %d", r.Outcomes, r.Planned)
	}
}

// Bodies that no socket takes at once go out whole and in order, though several wait on each connection.
func TestSendsInParts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { // a frame's answer is the frame
				<-time.After(50 * time.Millisecond) // until the sockets between are full
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	r := run(t, plan("frame://"+l.Addr().String(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Payload = 1_000_000
		s.Connections.Count, s.Connections.Pipeline = 2, 16
		s.Phases = []scenarios.Phase{steady(100, 0), drain(2000)}
		s.Phases[0].Load, s.Phases[0].Arrivals = "overload", scenarios.Arrivals{Burst: 100}
	}))
	_ = l.Close()
	wg.Wait()
	only(t, r, "ok")
}

// A request that was written on a connection that ended before it went is not sent on the next one, which may have the same
// descriptor.
func TestNothingGoesToTheNextSocket(t *testing.T) {
	srv := start(t, reflect.Script{CloseAfter: 2})
	r := run(t, plan(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) { closedLoop(s, 50, 500) }))
	o := r.Outcomes
	if o["ok"] < 100 || o["ok"]+o["eof"]+o["reset"]+o["in_flight"] != r.Planned {
		t.Errorf("outcomes %v: want ok, and eof or reset for what was sent to a closed connection", o)
	}
	if handled := srv.Handled.Load(); handled > o["ok"]+o["eof"]+o["reset"]+o["in_flight"] {
		t.Errorf("%d handled, outcomes %v", handled, o)
	}
}

// A connection that is lost in the middle of what it received gives its buffers back.
func TestGarbageLeaksNoBuffers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		garbage := []byte(strings.Repeat("garbage ", ringBuffers*ringBuffer/8/4))
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1000))
			_, _ = c.Write(garbage) // as far as the client takes it
			_ = c.Close()
		}
	}()
	r := run(t, plan("http://"+l.Addr().String(), func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = 10 // the first is read by hand
		s.Phases = []scenarios.Phase{steady(500, 200), drain(500)}
	}))
	_ = l.Close()
	<-ended
	only(t, r, "protocol_error")
}

// A socket is closed when its connection ends, though a receive may be under way on it.
func TestTheServerSeesTheEnd(t *testing.T) {
	part, wait := together(t)
	defer wait()
	for _, c := range []struct {
		name, policy string
		requests     int
		answer       bool
		want         string
	}{
		{"fin-client after one", "fin-client", 1, true, "EOF"},
		{"fin-client", "fin-client", 2, true, "EOF"},
		{"rst after one", "rst", 1, true, "reset by peer"},
		{"rst", "rst", 2, true, "reset by peer"},
		{"timeout", "", 0, false, "reset by peer"},
		{"timeout of one of several", "fin-client", 3, false, "reset by peer"},
	} {
		part(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			saw := make(chan error, 1)
			var at int64
			go func() {
				conn, err := l.Accept()
				for n := 0; err == nil; n++ {
					if _, err = conn.Read(make([]byte, 1000)); err == nil && c.answer {
						_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n"+hello)
					}
				}
				at = procfs.Monotonic()
				saw <- err
				_ = conn.Close()
				_ = l.Close()
			}()
			e, err := New(plan("http://"+l.Addr().String(), func(_ *clients.Plan, s *scenarios.Scenario) {
				s.Connections.Count, s.Connections.Requests, s.Connections.Close = 1, c.requests, c.policy
				s.Timeout = scenarios.Duration(100 * time.Millisecond)
				s.Phases = []scenarios.Phase{steady(10, 100*float64(max(c.requests, 1))), drain(1000)}
			}))
			if err != nil {
				t.Fatal(err)
			}
			r, err := e.Run(t.Context(), procfs.Monotonic())
			if err != nil {
				t.Fatal(err)
			}
			select {
			case err = <-saw:
			case <-time.After(5 * time.Second):
				t.Fatal("the server saw no end")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the server's side ended with %v: want %s", err, c.want)
			}
			if left := r.T0Ns + int64(r.DurationSeconds*1e9) - at; left < int64(300*time.Millisecond) {
				t.Errorf("that was %v before the load's end: want it at once", time.Duration(left))
			}
		})
	}
}

// slowSubmit is a transport whose kernel takes its time.
type slowSubmit struct {
	transport
	ns int64
}

func (t slowSubmit) submit() int64 {
	for end := procfs.Monotonic() + t.ns; procfs.Monotonic() < end; {
	}
	return t.transport.submit()
}

// A request is late until the kernel has it, and its service time begins before.
func TestTheTimeToSubmitIsLag(t *testing.T) {
	needRing(t)
	srv := start(t, reflect.Script{})
	e, s := alone(t, uring(srv.URL(), func(_ *clients.Plan, s *scenarios.Scenario) { s.Phases = []scenarios.Phase{steady(300, 100)} }))
	const ns = 2_000_000
	s.io = slowSubmit{s.io, ns}
	s.now = procfs.Monotonic()
	s.control, s.nextScan, s.looked = s.now, s.now, s.now
	for s.round() {
	}
	s.finish()
	r, err := e.rec.Report(e.facts([]*shard{s}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Outcomes["ok"] < 20 || r.LagNs.Outside > 0 || r.LagNs.Mean < ns || r.ServiceNs.Mean < ns {
		t.Errorf("mean lag %.0f ns, service time %.0f ns of %d requests: want %d at least", r.LagNs.Mean, r.ServiceNs.Mean, r.Outcomes["ok"], ns)
	}
}
