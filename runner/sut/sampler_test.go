package sut

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
)

// sample runs a sampler on p for d.
func sample(t testing.TB, p *Process, w io.Writer, d time.Duration, edges []Edge) (*Sampler, SamplerStats, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	s := NewSampler(together(p), w, procfs.Monotonic(), edges)
	t.Cleanup(s.Close)
	stats, err := s.Run(ctx)
	return s, stats, err
}

func readingsOf(t testing.TB, data []byte) []results.Reading {
	t.Helper()
	var all []results.Reading
	for line := range bytes.Lines(data) {
		var r results.Reading
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// A program that spins beside the server is foreign; the server itself, which sleeps or spins, is not.
func TestSamplerSeesAnotherProgram(t *testing.T) {
	p := startToy(t, toyCommand("good"))
	spinning := exec.Command("sh", "-c", "while :; do :; done")
	if err := spinning.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		spinning.Process.Kill()
		spinning.Wait()
	}()
	before, err := procfs.CPUTime(spinning.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	const phase = 300 * time.Millisecond
	edges := []Edge{{"connect", 0}, {"steady", int64(50 * time.Millisecond)}, {EndEdge, int64(50*time.Millisecond + phase)}}
	s, stats, err := sample(t, p, io.Discard, phase+250*time.Millisecond, edges)
	if err != nil {
		t.Fatal(err)
	}
	after, err := procfs.CPUTime(spinning.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if span := time.Duration(stats.ForeignSpanNs); span < phase*8/10 || span > 2*phase {
		t.Errorf("foreign CPU time over %v, want about %v", span, phase)
	}
	// The process spins all the time, of which the phase is more than a third.
	if stats.ForeignCPUNs < (after-before)/4 || stats.ForeignCPUNs <= 0 {
		t.Errorf("%d ns of foreign CPU time; one process alone took %d around it", stats.ForeignCPUNs, after-before)
	}
	if _, err := s.Final(t.Context()); err != nil || s.stats.ForeignSpanNs != stats.ForeignSpanNs {
		t.Errorf("after the last reading %+v, %v; before %+v", s.stats, err, stats)
	}
}

func TestSamplerOfARealServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 2 s")
	}
	p := startToy(t, toyCommand("good"))
	edges := []Edge{{"connect", 0}, {"baseline", int64(530 * time.Millisecond)}, {"end", int64(1500 * time.Millisecond)}}
	var out bytes.Buffer
	s, stats, err := sample(t, p, &out, 2050*time.Millisecond, edges)
	if err != nil {
		t.Fatal(err)
	}
	final, err := s.Final(t.Context())
	if err != nil || final.Handled == nil || final.PSSBytes == nil {
		t.Errorf("final reading %+v, %v", final, err)
	}
	all := readingsOf(t, out.Bytes())
	t.Logf("%d readings, %.3f %% of a core, notes %q", len(all), 100*stats.Share(), stats.Notes)
	// Within the phases: what is read at the first edge and in the end takes as long as this host has sockets in its tables. A process
	// that does nothing else is cold at each reading and takes 3 to 6 % on a slow evening, in runs 0.6 to 1.1 %; a busy loop takes 100.
	inside := slices.DeleteFunc(slices.Clone(all), func(r results.Reading) bool {
		return r.SamplerCPUNs == nil || r.TNs < int64(200*time.Millisecond) || r.TNs >= int64(1450*time.Millisecond)
	})
	from, to := inside[0], inside[len(inside)-1]
	if share := float64(*to.SamplerCPUNs-*from.SamplerCPUNs) / float64(to.TNs-from.TNs); share >= 0.1 || stats.CPUNs <= 0 {
		t.Errorf("sampling took %.2f %% of a core within the phases, want less than 10 %%", 100*share)
	}
	// 20 or 21 points of the grid, of which the edges at 0 and 1.5 s take two, the edge at 0.53 s, and the final one.
	if n := int64(len(all)) + stats.Skipped; n < 21 || n > 24+stats.Late {
		t.Errorf("%d readings in 2 s, %+v", len(all), stats)
	}
	var names []string
	for i, r := range all {
		if r.Edge != "" {
			names = append(names, r.Edge)
			if late := r.TNs - edges[len(names)-1].AtNs; late < 0 || late > int64(time.Second) {
				t.Errorf("edge %s was read %d ns late", r.Edge, late)
			}
		}
		end := r.Edge == EndEdge || i == len(all)-1
		if idle := end || r.Edge == "connect"; idle != (r.PSSBytes != nil) || idle != (r.TimeWaitServer != nil) {
			t.Errorf("reading %d at edge %q: PSS %v, TIME_WAIT %v", i, r.Edge, r.PSSBytes, r.TimeWaitServer)
		}
		if r.RSSBytes == nil || r.CPUUserNs == nil || r.SocketBytes == nil || r.SamplerCPUNs == nil || r.Schema != results.Schema {
			t.Errorf("reading %d lacks values: %+v", i, r)
		}
		if i > 0 && r.TNs <= all[i-1].TNs {
			t.Errorf("reading %d at %d after %d", i, r.TNs, all[i-1].TNs)
		}
	}
	if !slices.Equal(names, []string{"connect", "baseline", "end"}) {
		t.Errorf("edges %v", names)
	}
	if last := s.Last(); last.TNs != all[len(all)-1].TNs {
		t.Errorf("last reading at %d, written at %d", last.TNs, all[len(all)-1].TNs)
	}
}

// Every reply of this server takes longer than a reading waits: none may be lost, and no reading may wait for it.
func TestSamplerOfASlowServer(t *testing.T) {
	p := startToy(t, toyCommand("slow"))
	var out bytes.Buffer
	s, stats, err := sample(t, p, &out, 700*time.Millisecond, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Final(t.Context()); err != nil {
		t.Error(err)
	}
	outside, inside := 0, []int64{}
	for _, r := range readingsOf(t, out.Bytes()) {
		if r.RSSBytes != nil {
			outside++
		}
		if r.Handled != nil {
			inside = append(inside, *r.Handled)
		}
	}
	if int64(outside)+stats.Skipped < 6 || stats.Late < 1 || stats.Missing < 1 || len(stats.Notes) < 2 {
		t.Errorf("%d readings from outside, %+v", outside, stats)
	}
	for i, n := range inside {
		if n != int64(i+1) {
			t.Errorf("replies %v, want each once and in order", inside)
		}
	}
}

// A server that stands still is sampled from outside, and asked once only.
func TestSamplerOfAStoppedServer(t *testing.T) {
	p := startToy(t, toyCommand("good"))
	freeze(t, p)
	var out bytes.Buffer
	s, stats, err := sample(t, p, &out, 350*time.Millisecond, nil)
	if err != nil || stats.Late != 1 || stats.Readings < 2 {
		t.Errorf("%+v, %v", stats, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r, err := s.Final(ctx); err == nil || r.RSSBytes == nil {
		t.Errorf("final reading %+v, %v; want one from outside and an error", r, err)
	}
	p.Stop(ctx)
}

func TestSamplerOfAServerThatDies(t *testing.T) {
	p := startToy(t, toyCommand("good"))
	if _, err := p.request("die"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, _, err := sample(t, p, &out, 10*time.Second, nil)
	if err == nil || !strings.Contains(err.Error(), "toy/good") {
		t.Errorf("error %v, want one that names the server", err)
	}
}

// What is due follows from the grid and the edges alone.
func TestSamplerGrid(t *testing.T) {
	ms := int64(time.Millisecond)
	s := &Sampler{every: sampleEvery, t0: procfs.Monotonic(), edges: []Edge{{"connect", 0}, {"a", 100*ms + 1}, {"b", 150 * ms}, {"c", 150 * ms}, {"d", 299 * ms}}}
	type point struct {
		at   int64
		edge string
	}
	want := []point{{0, "connect"}, {100*ms + 1, "a"}, {150 * ms, "b"}, {150 * ms, "c"}, {200 * ms, ""}, {299 * ms, "d"}, {400 * ms, ""}, {500 * ms, ""}}
	for i, w := range want {
		at, edge := s.due()
		if (point{at, edge}) != w {
			t.Errorf("point %d is %v, want %v", i, point{at, edge}, w)
		}
		s.t0 = procfs.Monotonic() - at
		s.advance(edge)
	}
	s.t0 -= int64(time.Second)
	s.advance("")
	if at, _ := s.due(); s.stats.Skipped < 8 || at < 1400*ms || at > s.now() {
		t.Errorf("after a second lost, %d points were skipped and the next is at %d", s.stats.Skipped, at)
	}
}

// One reading behind the other costs 0.1 ms of CPU, a thousandth of a core at ten a second.
func TestReadingsAreCheap(t *testing.T) {
	s := NewSampler(together(startToy(t, toyCommand("good"))), io.Discard, procfs.Monotonic(), nil)
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const readings = 200
	before, err := procfs.CPUTime(0)
	if err != nil {
		t.Fatal(err)
	}
	for range readings {
		if err := s.take(t.Context(), "", false); err != nil {
			t.Fatal(err)
		}
	}
	after, err := procfs.CPUTime(0)
	if err != nil {
		t.Fatal(err)
	}
	if each := time.Duration(after-before) / readings; each > time.Millisecond/2 || s.stats.Late > readings/10 {
		t.Errorf("%v of CPU a reading, want at most 500µs; %+v", each, s.stats)
	}
}

func BenchmarkSamplerReading(b *testing.B) {
	p := startToy(b, toyCommand("good"))
	s := NewSampler(together(p), io.Discard, procfs.Monotonic(), nil)
	if err := s.open(); err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	start, err := procfs.CPUTime(0)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := s.take(b.Context(), "", false); err != nil {
			b.Fatal(err)
		}
	}
	end, err := procfs.CPUTime(0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(end-start)/float64(b.N), "cpu-ns/op")
}
