package reactor

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// witness is a net/http server that remembers what it was asked for.
type witness struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int // "METHOD URI Host X-Id body"
	from  map[string]int // by remote host
}

// testify starts a witness on a listener, which answers with a function of the request's body.
func testify(t *testing.T, l net.Listener, answer func(r *http.Request, body []byte) []byte) *witness {
	t.Helper()
	w := &witness{asked: map[string]int{}, from: map[string]int{}}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a broken request shows in what was asked
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		w.mu.Lock()
		w.asked[strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", r.Method, r.RequestURI, r.Host, r.Header.Get("X-Id"), body))]++
		w.from[host]++
		w.mu.Unlock()
		_, _ = out.Write(answer(r, body)) // the client tells what it got
	}))
	w.Listener.Close()
	w.Listener = l
	w.Start()
	t.Cleanup(w.Close)
	return w
}

// answers are what was asked and from where, so far.
func (w *witness) answers() (asked, from map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.asked), maps.Clone(w.from)
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		if strings.Contains(address, "::1") {
			t.Skipf("this host has no IPv6: %v", err)
		}
		t.Fatal(err)
	}
	return l
}

func says(text string) func(*http.Request, []byte) []byte {
	return func(*http.Request, []byte) []byte { return []byte(text) }
}

// settled is a load of n requests, all of which are answered before it ends.
func settled(s *scenarios.Scenario, n int) {
	s.Phases = []scenarios.Phase{steady(n/4, 4000), drain(200)}
}

func TestRequestsOfOneHostGoInTurn(t *testing.T) {
	w := testify(t, listen(t, "tcp", "127.0.0.1:0"), says(hello))
	r := run(t, plan(w.URL, func(p *clients.Plan, s *scenarios.Scenario) {
		settled(s, 300)
		p.Requests = []clients.Request{
			{URL: w.URL + "/a"}, {URL: w.URL + "/b", Method: "HEAD", Headers: []string{"X-Id: 7", "Host: other"}},
			{URL: w.URL + "/c", Body: []byte("body")},
		}
	}))
	only(t, r, "ok")
	asked, _ := w.answers()
	host := w.Listener.Addr().String()
	for _, want := range []string{"GET /a " + host, "HEAD /b other 7", "POST /c " + host + "  body"} {
		if asked[want] != 100 {
			t.Errorf("%q was asked for %d times, want 100: %v", want, asked[want], asked)
		}
	}
}

// Every arrival of the stream has its own number, over agents, threads and phases, pipelined or not.
func TestCounterIsUnique(t *testing.T) {
	for _, depth := range []int{1, 4} {
		w := testify(t, listen(t, "tcp", "127.0.0.1:0"), func(_ *http.Request, body []byte) []byte { return body })
		for agent := range 2 {
			r := run(t, plan(w.URL, func(p *clients.Plan, s *scenarios.Scenario) {
				settled(s, 400)
				s.Connections.Pipeline = depth
				p.Agent, p.Agents = agent, 2
				p.URL, p.Method = w.URL+"/item/{n}?x={{n}}", "PUT"
				p.Headers = []string{"X-Id: id-{n}"}
				p.Body = []byte(`{"id":{n}}`)
				p.CheckBody = p.Body // each reply is held against its own request
			}))
			only(t, r, "ok")
			if want := int64(len(`{"id":}`)*200) + digitsOf(agent, 2, 400); r.BodyBytesOut != want || r.BodyBytesIn != want {
				t.Errorf("agent %d: %d bytes of bodies out, %d in, want %d", agent, r.BodyBytesOut, r.BodyBytesIn, want)
			}
		}
		asked, _ := w.answers()
		host := w.Listener.Addr().String()
		for n := range 400 {
			if want := fmt.Sprintf(`PUT /item/%d?x={n} %s id-%d {"id":%d}`, n, host, n, n); asked[want] != 1 {
				t.Errorf("pipeline %d: %q was asked for %d times", depth, want, asked[want])
			}
		}
	}
}

// digitsOf is how many digits the numbers from, from+step, … below to have.
func digitsOf(from, step, to int) (n int64) {
	for i := from; i < to; i += step {
		n += int64(len(fmt.Sprint(i)))
	}
	return n
}

func TestRequestsOutsideTheScheduleHaveNumbersOfTheirOwn(t *testing.T) {
	s := &plan("http://x", nil).Scenario
	if n := arrivals.NewSchedule(s, 1).Beyond(); n < 200 {
		t.Errorf("first number %d, but the schedule has 200", n)
	}
	w := testify(t, listen(t, "tcp", "127.0.0.1:0"), says(hello))
	r := run(t, plan(w.URL+"/{n}", func(_ *clients.Plan, s *scenarios.Scenario) {
		settled(s, 100)
		s.Phases[0].Arrivals.Closed, s.Phases[0].Arrivals.Constant = true, 0
		s.Phases = append([]scenarios.Phase{steady(100, 1000)}, s.Phases...)
		s.Phases[0].Name = "open"
	}))
	asked, _ := w.answers()
	for what, times := range asked {
		if times != 1 {
			t.Errorf("%q was asked for %d times", what, times)
		}
	}
	if int64(len(asked)) < r.Outcomes["ok"] {
		t.Errorf("%d different requests, but %d good replies", len(asked), r.Outcomes["ok"])
	}
}

func TestACounterThatComesBackWrongIsABadPayload(t *testing.T) {
	w := testify(t, listen(t, "tcp", "127.0.0.1:0"), says("7"))
	r := run(t, plan(w.URL, func(p *clients.Plan, s *scenarios.Scenario) {
		settled(s, 100)
		p.Body, p.CheckBody = []byte("{n}"), []byte("{n}")
	}))
	if r.Outcomes["ok"] != 1 || r.Outcomes["bad_payload"] != 99 {
		t.Errorf("%v, want one ok, number 7, and 99 bad payloads", r.Outcomes)
	}
}

func TestFramesWithCounters(t *testing.T) {
	for _, c := range []struct {
		fault, want string
		body        string
	}{
		{"", "ok", "number {n}"},
		{reflect.FaultBytewise, "ok", "number {n}"},
		{reflect.FaultBackwards, "ok", "number {n}"},
		{reflect.FaultWrongBody, "bad_payload", "number {n}"},
	} {
		srv := start(t, reflect.Script{Protocol: "frame", Fault: c.fault})
		r := run(t, plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) {
			settled(s, 200)
			s.Connections.Pipeline = 8
			p.Body = []byte(c.body)
		}))
		only(t, r, c.want)
	}
}

func TestSeveralHosts(t *testing.T) {
	a := testify(t, listen(t, "tcp", "127.0.0.1:0"), says(hello))
	b := testify(t, listen(t, "tcp", "[::1]:0"), says(hello))
	r := run(t, plan(a.URL, func(p *clients.Plan, s *scenarios.Scenario) {
		settled(s, 400)
		s.Connections.Count = 20
		p.Sources = []string{"127.0.0.5", "::1", "127.0.0.6"}
		p.Requests = []clients.Request{{URL: a.URL + "/1"}, {URL: b.URL + "/2"}, {URL: b.URL + "/3"}}
	}))
	only(t, r, "ok")
	askedA, fromA := a.answers()
	askedB, fromB := b.answers()
	ones := askedA["GET /1 "+a.Listener.Addr().String()]
	twos, threes := askedB["GET /2 "+b.Listener.Addr().String()], askedB["GET /3 "+b.Listener.Addr().String()]
	if ones+twos+threes != 400 || ones < 150 || ones > 250 || twos < 50 || threes < 50 {
		t.Errorf("%d, %d and %d requests, want about 200, 100 and 100", ones, twos, threes)
	}
	if fromA["127.0.0.5"] < ones/4 || fromA["127.0.0.6"] < ones/4 || fromB["::1"] != twos+threes {
		t.Errorf("requests came from %v and %v, want the sources in turn", fromA, fromB)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	w := testify(t, listen(t, "unix", path), says(hello))
	for i, engine := range []string{"epoll", "epoll", "uring", "uring"} {
		requests := i % 2
		r := run(t, plan("http://name.example/x", func(p *clients.Plan, s *scenarios.Scenario) {
			settled(s, 200)
			p.Engine = engine
			p.UnixSocket = path
			if s.Connections.Requests = requests; requests > 0 {
				s.Connections.Close = "fin-client"
			}
		}))
		only(t, r, "ok")
		if c := find(r, "keep-alive truth"); c.State != "ok" {
			t.Errorf("%+v", c)
		}
	}
	asked, _ := w.answers()
	if n := asked["GET /x name.example"]; n != 800 {
		t.Errorf("%d requests: %v", n, asked)
	}
	if _, err := New(plan("http://x/", func(p *clients.Plan, _ *scenarios.Scenario) { p.UnixSocket = path + "/none" })); err != nil {
		t.Error(err)
	}
}
