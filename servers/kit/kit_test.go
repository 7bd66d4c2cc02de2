package kit

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/millrace/millrace/scenarios"
)

// toy is a server that accepts nothing.
type toy struct{ stopped chan struct{} }

func (toy) Addr() string { return "127.0.0.1:1" }

func (s toy) Stop(context.Context) error {
	close(s.stopped)
	return nil
}

func toyModel(s toy) *Model {
	return &Model{
		Name: "toy", Doc: "a toy", Protocols: []string{"http1"}, Missing: map[string]string{"frame": "it is a toy", "push": "so it is", "ws": "so it is"},
		Variants: []Variant{{"big", "a big toy", []string{"--big"}}}, HalfClose: "closes",
		Flags: func(fs *flag.FlagSet) { fs.Bool("big", false, "") },
		Start: func(*Env) (Server, error) { return s, nil },
	}
}

func TestUsage(t *testing.T) {
	check := func(args []string, want string) {
		t.Helper()
		err := toyModel(toy{}).run(args, strings.NewReader(""), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, new(usageError)) {
			t.Errorf("%q: %v, want a usage error with %q", args, err, want)
		}
	}
	check(nil, "toy serve --listen")
	check([]string{"run"}, `unknown command "run"`)
	check([]string{"describe", "x"}, "no arguments")
	check([]string{"serve", "--bug"}, "--big, --control, --inject, --listen, --payload, --protocol, --push-overflow, --push-queue, --push-rate, --work")
	check([]string{"serve", "extra"}, `"extra"`)
	check([]string{"serve", "--protocol", "smtp"}, "toy speaks http1")
	check([]string{"serve", "--protocol", "frame"}, "it is a toy")
	check([]string{"serve", "--work", "dance"}, "want one of none, cpu=DURATION")
	check([]string{"serve", "--payload", "0"}, "want 1 to")
	check([]string{"serve", "--control", "tcp"}, "stdin or none")
	check([]string{"serve", "--listen", "8080"}, "want HOST:PORT")
	check([]string{"serve", "--listen", "1.2.3.4:99999"}, "want HOST:PORT")
}

func TestDescribe(t *testing.T) {
	var out strings.Builder
	if err := toyModel(toy{}).run([]string{"describe"}, nil, &out); err != nil {
		t.Fatal(err)
	}
	var d description
	if err := json.Unmarshal([]byte(out.String()), &d); err != nil {
		t.Fatal(err)
	}
	if d.Schema != Schema || d.Name != "toy" || d.Framework != (framework{"std", runtime.Version()}) || d.Missing["frame"] != "it is a toy" || d.Variants[0].Flags[0] != "--big" {
		t.Errorf("describes itself as %+v", d)
	}
}

// channel is a toy server at work, with its control channel.
type channel struct {
	t     *testing.T
	in    *io.PipeWriter
	lines *json.Decoder
	done  chan error
}

func startToy(t *testing.T) *channel {
	in, requests := io.Pipe()
	replies, out := io.Pipe()
	c := &channel{t, requests, json.NewDecoder(replies), make(chan error, 1)}
	s := toy{make(chan struct{})}
	go func() { c.done <- toyModel(s).run([]string{"serve"}, in, out) }()
	t.Cleanup(func() {
		requests.Close()
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		<-s.stopped
	})
	var r ready
	if err := c.lines.Decode(&r); err != nil || !r.Ready || r.Addr != "127.0.0.1:1" {
		t.Fatalf("ready line %+v, %v", r, err)
	}
	return c
}

func (c *channel) ask(line string) map[string]any {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
	var reply map[string]any
	if err := c.lines.Decode(&reply); err != nil {
		c.t.Fatal(err)
	}
	return reply
}

func TestControl(t *testing.T) {
	c := startToy(t)
	check := func(line string, id any, wantErr string) {
		t.Helper()
		r := c.ask(line)
		text, _ := r["error"].(string)
		if r["id"] != id || (text == "") != (wantErr == "") || !strings.Contains(text, wantErr) {
			t.Errorf("%s: %v, want id %v and error %q", line, r, id, wantErr)
		}
	}
	check(`{"id":1,"cmd":"gc"}`, 1.0, "")
	check(`{"id":"a","cmd":"free"}`, "a", "")
	check(`{"id":2,"cmd":"dance"}`, 2.0, "want one of readings, gc, free, profile")
	check(`{"id":3,`, nil, "reading request")
	check(`{"id":4,"cmd":"profile","kind":"gpu"}`, 4.0, "want one of cpu, trace")
	check(`{"id":5,"cmd":"profile","kind":"cpu","path":"x"}`, 5.0, "0 seconds")
	check(`{"id":6,"cmd":"profile","kind":"heap","path":"`+filepath.Join(t.TempDir(), "heap")+`"}`, 6.0, "")
	check(`{"id":7,"cmd":"profile","kind":"trace","seconds":0.01,"path":"`+filepath.Join(t.TempDir(), "trace")+`"}`, 7.0, "")
	for _, line := range []string{`{"cmd":"readings","id":8}`, `{"id":8,"cmd":"readings"}`} {
		r := c.ask(line)
		if r["id"] != 8.0 || r["goroutines"].(float64) < 1 || r["heap_in_use_bytes"].(float64) < 1<<10 || r["open"] != 0.0 {
			t.Errorf("%s: %v", line, r)
		}
	}
}

func TestReadingsCoverTheReadingRecordAndDoNotAllocate(t *testing.T) {
	var counters Counters
	r := newReadings(&counters)
	runtime.GC()
	line := append(r.append([]byte(`{"id":1`)), '}')
	var values map[string]int64
	if err := json.Unmarshal(line, &values); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"goroutines", "threads", "heap_live_bytes", "heap_in_use_bytes", "stack_bytes", "runtime_other_bytes", "alloc_bytes",
		"alloc_objects", "gc_cycles", "gc_cpu_ns", "gc_pause_ns", "gc_pause_max_ns", "sched_p99_ns", "switches_voluntary",
	} {
		if values[name] <= 0 {
			t.Errorf("%s is %d", name, values[name])
		}
	}
	known := metrics.All()
	for _, s := range r.samples {
		if !slices.ContainsFunc(known, func(d metrics.Description) bool { return d.Name == s.Name }) {
			t.Errorf("the runtime has no metric %s", s.Name)
		}
	}
	if n := testing.AllocsPerRun(50, func() { line = r.append(line[:0]) }); n > 0 {
		t.Errorf("%v allocations for a reading", n)
	}
}

func TestHistograms(t *testing.T) {
	h := &metrics.Float64Histogram{
		Counts:  []uint64{1, 0, 2, 1},
		Buckets: []float64{math.Inf(-1), 1e-6, 2e-6, 4e-6, math.Inf(1)},
	}
	sum, largest := pauses(h)
	if sum != 500+2*3000+4000 || largest != 4000 {
		t.Errorf("sum %d, largest %d", sum, largest)
	}
	var r readings
	check := func(counts []uint64, want int64, wantOK bool) {
		t.Helper()
		h.Counts = counts
		if got, ok := r.p99Since(h); got != want || ok != wantOK {
			t.Errorf("p99 of %v is %d, %v; want %d, %v", counts, got, ok, want, wantOK)
		}
	}
	check([]uint64{99, 1, 0, 0}, 1000, true)
	check([]uint64{99, 1, 0, 0}, 0, false)
	check([]uint64{99, 1, 5, 0}, 4000, true)
	check([]uint64{197, 3, 5, 0}, 2000, true)
}

func TestSpinTakesItsCPUTime(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const want = 2 * time.Millisecond
	// A core that changes its clock between calibration and use is the one thing that moves the result: try again.
	var got time.Duration
	for range 5 {
		work, err := newWork(scenarios.WorkSpec{Kind: "cpu", Duration: want})
		if err != nil {
			t.Fatal(err)
		}
		env := &Env{work: work}
		var runs []time.Duration
		for range 15 {
			from := threadCPU()
			env.DoWork(nil)
			runs = append(runs, threadCPU()-from)
		}
		slices.Sort(runs)
		if got = runs[len(runs)/2]; got > want*9/10 && got < want*11/10 {
			return
		}
	}
	t.Errorf("work of %v took %v of CPU time", want, got)
}

func TestListener(t *testing.T) {
	env := &Env{Listen: "127.0.0.1:0"}
	l, err := env.Listener(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := &Env{Listen: l.Addr().String()}
	check := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "--listen 127.0.0.1:0") {
			t.Errorf("%s a port in use: %v", what, err)
		}
	}
	_, err = taken.Listener(t.Context())
	check("listening at", err)
	_, _, err = taken.Reserve()
	check("reserving", err)
}

func TestReserveLetsOthersListen(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		env := &Env{Listen: listen}
		addr, release, err := env.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		// Go sets SO_REUSEADDR, as gnet and others do.
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		l.Close()
	}
}

func TestCountersHaveTheirOwnCacheLines(t *testing.T) {
	if s := unsafe.Sizeof(Counter{}); s != 64 {
		t.Errorf("a counter takes %d bytes, want 64", s)
	}
}

// TestCrash runs itself in a process of its own, which must end as a panic ends one.
func TestCrash(t *testing.T) {
	if os.Getenv("MILLRACE_KIT_CRASH") != "" {
		defer func() { _ = recover() }() // what a framework does
		func() {
			defer Crash()
			panic("boom")
		}()
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), "MILLRACE_KIT_CRASH=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "panic: boom") || !strings.Contains(string(out), "TestCrash") {
		t.Errorf("%v: %s", err, out)
	}
}
