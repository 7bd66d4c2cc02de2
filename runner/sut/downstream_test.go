package sut

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

func TestPlanDownstream(t *testing.T) {
	s, err := scenarios.Decode("own.yaml", []byte(`
name: own
why: to test
protocol: frame
connections: {count: 10}
work: {kind: downstream, share: 100%}
downstream: {latency: "lognormal=5ms,0.5", windows: [{phase: b, after: 500ms, for: 2s, latency: stall}, {phase: a, after: 0s, for: 1s, latency: constant=1ms}]}
phases: [{name: a, for: 3s, arrivals: {constant: 10/s}}, {name: b, for: 3s, arrivals: {constant: 10/s}, measure: true}]
`))
	if err != nil {
		t.Fatal(err)
	}
	p := PlanDownstream(s, 9, []int{1})
	want := "serve --listen 127.0.0.1:0 --protocol tcp --latency lognormal=5ms,0.5 --seed 9 --window 4.5s,6.5s,stall --window 1s,2s,constant=1ms"
	if got := strings.Join(p.args(), " "); got != want || !slices.Equal(p.CPUs, []int{1}) {
		t.Errorf("%s on CPUs %v\nwant %s", got, p.CPUs, want)
	}
	s.Work = scenarios.Work{Kind: "sleep=1ms", Share: 100}
	if p := PlanDownstream(s, 9, nil); p != nil {
		t.Errorf("a downstream that nobody calls: %+v", p)
	}
	var none *downstream
	if w := none.work("sleep=1ms"); w != "sleep=1ms" || none.failure() != nil || none.pids() != nil || none.done() != nil {
		t.Errorf("work %q without a downstream", w)
	}
	toy := startToy(t, toyCommand("good"))
	tcp, http := &downstream{plan: DownstreamPlan{Protocol: "tcp"}, process: toy}, &downstream{plan: DownstreamPlan{Protocol: "http"}, process: toy}
	if a, b, c := tcp.work("downstream"), http.work("downstream"), http.work("upload"); a != "downstream=tcp://"+toy.Addr() || b != "downstream=http://"+toy.Addr() || c != "upload=http://"+toy.Addr()+"/bucket" {
		t.Errorf("%s, %s, %s", a, b, c)
	}
}

// A downstream that dies ends the trial with its own last words, and the server is stopped all the same.
func TestDownstreamThatDiesVoidsTheTrial(t *testing.T) {
	server, other := startToy(t, toyCommand("good")), startToy(t, toyCommand("good"))
	s := &Executor{servers: together(server), downstream: &downstream{process: other}, file: spool(t)}
	if _, err := other.request("die"); err != nil {
		t.Fatal(err)
	}
	<-other.Done()
	_, err := s.Run(t.Context(), procfs.Monotonic(), func(any) {})
	if err == nil || !strings.Contains(err.Error(), "asked to die") {
		t.Errorf("no last words: %v", err)
	}
	if done := finish(t, s); done.Panicked || done.Downstream != nil {
		t.Errorf("%+v", done)
	}

	server, other = startToy(t, toyCommand("good")), startToy(t, toyCommand("good"))
	s = &Executor{servers: together(server), downstream: &downstream{process: other}, file: spool(t)}
	died := false
	_, err = s.Run(t.Context(), procfs.Monotonic(), func(any) {
		if !died {
			died = true
			_, _ = other.request("die")
		}
	})
	if err == nil || !strings.Contains(err.Error(), "the downstream ended in the middle of the trial") {
		t.Errorf("in the middle: %v", err)
	}
	finish(t, s)
	select {
	case <-server.Done():
	case <-time.After(time.Second):
		t.Error("the server is still there")
	}
}

func TestDownstreamIsReadAroundTheServer(t *testing.T) {
	d := &downstream{plan: DownstreamPlan{Protocol: "tcp", Latency: "constant=5ms"}, process: startToy(t, toyCommand("good"))}
	var done Done
	calls := int64(3)
	d.around(t.Context(), &done, func() { done.Final.DownstreamCalls = &calls })
	if done.Downstream == nil || done.Downstream.Calls == nil || *done.Downstream.Calls != 3 || len(done.Sampler.Notes) > 0 {
		t.Errorf("%+v, notes %q", done.Downstream, done.Sampler.Notes)
	}
	d.stop(t.Context())
	done = Done{}
	if d.around(t.Context(), &done, func() {}); done.Downstream != nil {
		t.Errorf("read from a program that has ended: %+v", done.Downstream)
	}
}
