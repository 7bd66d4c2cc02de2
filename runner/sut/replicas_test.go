package sut

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
)

func startToys(t testing.TB, n int) *Replicas {
	t.Helper()
	g, err := StartReplicas(t.Context(), toyCommand("good"), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Stop(t.Context()) })
	return g
}

// Replicas are one server: addresses of their own, readings that are the sum.
func TestReplicasAddUp(t *testing.T) {
	g := startToys(t, 3)
	addrs := g.Addrs()
	slices.Sort(addrs)
	if addrs = slices.Compact(addrs); len(addrs) != 3 {
		t.Fatalf("addresses %v", addrs)
	}
	var out bytes.Buffer
	s := NewSampler(g, &out, procfs.Monotonic(), nil)
	t.Cleanup(s.Close)
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	r, err := s.Final(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var single procfs.Usage
	pids, err := g.PIDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids[:1] {
		p, err := procfs.OpenProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if single, err = p.Read(); err != nil {
			t.Fatal(err)
		}
	}
	// Each toy counts the request for its readings: one each.
	if r.Handled == nil || *r.Handled != 3 || *r.Goroutines < 3 || *r.RSSBytes < 2*single.RSSBytes || *r.Files < 3*3 {
		t.Errorf("%+v, one of them %+v", r, single)
	}
	for i, exit := range []Exit{g.Stop(t.Context()), g.Stop(t.Context())} {
		if !exit.Clean() {
			t.Errorf("stop %d: %v", i, exit)
		}
	}
}

func TestReplicaThatDiesEndsAll(t *testing.T) {
	g := startToys(t, 3)
	if _, err := g.all[1].request("die"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("its end is not told")
	}
	if err := g.Failure("ended"); !strings.Contains(err.Error(), "replica 2 of 3") || !strings.Contains(g.Crashed(), "asked to die") {
		t.Errorf("%v, %q", err, g.Crashed())
	}
	if exit := g.Stop(t.Context()); exit.Code != 2 {
		t.Errorf("exit %v", exit)
	}
	for _, p := range g.all {
		if !p.ended() {
			t.Errorf("%s is still there", p.command.Name)
		}
	}
}

func TestReplicasThatDoNotStart(t *testing.T) {
	for _, n := range []int{0, maxReplicas + 1} {
		if _, err := StartReplicas(t.Context(), toyCommand("good"), n); err == nil || !strings.Contains(err.Error(), "want 1 to 1024") {
			t.Errorf("%d replicas: %v", n, err)
		}
	}
	c := toyCommand("mute from the start")
	c.Path = "/nowhere"
	if _, err := StartReplicas(t.Context(), c, 2); err == nil || !strings.Contains(err.Error(), "replica 1 of 2") {
		t.Error(err)
	}
}

// Counters add up, what is the largest of its kind does not, and what nobody tells stays untold.
func TestAddReading(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	total := results.Reading{Handled: n(1), GCPauseMaxNs: n(7), Goroutines: n(2)}
	addReading(&total, &results.Reading{Handled: n(2), GCPauseMaxNs: n(5), Open: n(4)})
	got, _ := json.Marshal(&total)
	want, _ := json.Marshal(&results.Reading{Handled: n(3), GCPauseMaxNs: n(7), Goroutines: n(2), Open: n(4)})
	if !bytes.Equal(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}
