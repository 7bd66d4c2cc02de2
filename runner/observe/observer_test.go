package observe

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results/observed"
)

// A program that makes a known number of system calls, in a thread of its own process, is counted exactly.
func TestSyscallsOfAChildAreCounted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const blocks = 5000
	counted := make(chan map[string]int64)
	go func() {
		defer close(counted)
		runtime.LockOSThread() // never unlocked: the counters are of this thread
		c, err := countSyscalls()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.close()
		if out, err := exec.Command("dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=5000").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
			return
		}
		n, err := c.read()
		if err != nil {
			t.Error(err)
		}
		counted <- n
	}()
	n := <-counted
	for _, kind := range []string{"read", "write"} {
		if n[kind] < blocks || n[kind] > blocks+100 {
			t.Errorf("%d calls of %s, want %d and a few", n[kind], kind, blocks)
		}
	}
	if n["other"] <= 0 || n["other"] > 1000 {
		t.Errorf("%d other calls, want those that start a program", n["other"])
	}
}

// silent is a server that is this process and answers nothing but that it knows no profiles.
type silent struct{}

func (silent) PID() int                    { return os.Getpid() }
func (silent) Done() <-chan struct{}       { return nil }
func (silent) Failure(reason string) error { return errors.New(reason) }
func (silent) Ask(command, members string) (<-chan json.RawMessage, error) {
	reply := make(chan json.RawMessage, 1)
	reply <- json.RawMessage(`{"ok":false,"error":"unknown command"}`)
	return reply, nil
}

// look lets an observer look for 400 ms and returns what it wrote.
func look(t *testing.T, want Plan) observed.Record {
	t.Helper()
	seen, _ := lookAt(t, want, silent{})
	return seen
}

// lookAt returns T0 too, which comes when all is prepared, as in a trial: opening the counters takes some 70 ms.
func lookAt(t *testing.T, want Plan, s Server) (seen observed.Record, t0 int64) {
	t.Helper()
	spool := t.TempDir()
	o, err := New(&want, spool)
	if err != nil {
		t.Fatal(err)
	}
	o.OnThread()
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	t0 = procfs.Monotonic()
	<-o.Start(ctx, s, t0)
	o.Finish(t.Context(), s)
	data, err := os.ReadFile(filepath.Join(spool, observed.File))
	if err != nil || json.Unmarshal(data, &seen) != nil {
		t.Fatalf("%s, %v", data, err)
	}
	return seen, t0
}

func TestObserverCountsWhereTheSpanBeginsAndEnds(t *testing.T) {
	span := observed.Span{FromNs: 60e6, ToNs: 130e6}
	seen := look(t, Plan{Syscalls: true, Span: span})
	at := func(ns int64) bool {
		for _, c := range seen.Counts {
			if c.TNs >= ns && c.TNs < ns+50e6 && len(c.Syscalls) > 0 && c.WireBytes != nil && c.Segments != nil {
				return true
			}
		}
		return false
	}
	if len(seen.Counts) < 4 || !at(0) || !at(span.FromNs) || !at(span.ToNs) || !at(250e6) {
		t.Errorf("%+v", seen)
	}
	if os.Geteuid() != 0 && seen.Partial == "" {
		t.Error("nothing says that only reads and writes were counted")
	}
}

// telling is a server that notes when it is asked to collect its garbage, and is done with it and with its profiles.
type telling struct {
	silent
	collected *[]int64
}

func (s telling) Ask(command, members string) (<-chan json.RawMessage, error) {
	if command == "gc" {
		*s.collected = append(*s.collected, procfs.Monotonic())
	}
	reply := make(chan json.RawMessage, 1)
	reply <- json.RawMessage(`{"ok":true}`)
	return reply, nil
}

// What was allocated is known as of the begin of a garbage collection, at both ends: requests are counted between the same times.
func TestAllocationsAreOfTheTimeBetweenCollections(t *testing.T) {
	var collected []int64
	seen, t0 := lookAt(t, Plan{Profile: true, Span: observed.Span{FromNs: 1e6, ToNs: 50e6}}, telling{collected: &collected})
	if seen.Allocs == nil || len(collected) != 2 || seen.Allocs.FromNs > collected[0]-t0 || seen.Allocs.ToNs > collected[1]-t0 {
		t.Errorf("%+v of %+v: want it to begin and end before the collections at %d", seen.Allocs, seen, collected)
	}
}

// The kernel's counters are given back where no server was started.
func TestCloseGivesTheCountersBack(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	o, err := New(&Plan{Syscalls: true}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	before := counters(t)
	if o.OnThread(); counters(t) == before {
		t.Fatalf("nothing is counted: %s", o.seen.Partial)
	}
	o.Close()
	o.Close()
	if n := counters(t); n != before {
		t.Errorf("%d counters are open, were %d", n, before)
	}
}

// counters is how many perf events this process has open.
func counters(t *testing.T) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.Contains(to, "perf_event") {
			n++
		}
	}
	return n
}

// A server that knows no profiles leaves a note, and what asks for none leaves nothing.
func TestObserverNotesWhatItDidNotGet(t *testing.T) {
	seen := look(t, Plan{Profile: true, Span: observed.Span{FromNs: 1e6, ToNs: 50e6}})
	if seen.CPU != nil || seen.Allocs != nil || len(seen.Notes) == 0 || !strings.Contains(seen.Notes[0], "profiling") {
		t.Errorf("%+v", seen)
	}
	o, err := New(nil, t.TempDir())
	if o.OnThread(); err != nil || o != nil || o.Env(nil) != nil {
		t.Errorf("%v, %v: want a measured trial to have no observer", o, err)
	}
	<-o.Start(t.Context(), silent{}, 0)
	o.Finish(t.Context(), silent{})
}
