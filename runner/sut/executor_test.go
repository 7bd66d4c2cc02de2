package sut

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/runner/observe"
)

// finish ends an executor as the fleet does and returns what it answers.
func finish(t testing.TB, s *Executor) Done {
	t.Helper()
	answer, err := s.Finish(t.Context())
	var done Done
	if err != nil || json.Unmarshal(answer, &done) != nil {
		t.Fatalf("%s, %v", answer, err)
	}
	return done
}

// spool creates the file of an executor's readings, which Finish closes.
func spool(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "readings.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A panic that was recovered long before the end is still a crash, and its line is told.
func TestFinishTellsAnOldPanic(t *testing.T) {
	done := finish(t, &Executor{servers: together(startToy(t, toyCommand("recovering")))})
	if !done.Panicked || len(done.Log) != tailLines+1 || !strings.Contains(done.Log[0], "http: panic serving") || done.Exit != "" {
		t.Errorf("%+v", done)
	}
	if done = finish(t, &Executor{servers: together(startToy(t, toyCommand("good")))}); done.Panicked {
		t.Errorf("%+v", done)
	}
}

func TestFinishTellsThatTheLogWasCut(t *testing.T) {
	c := toyCommand("noisy")
	c.LogPath = filepath.Join(t.TempDir(), "server.log")
	done := finish(t, &Executor{servers: together(startToy(t, c))})
	if len(done.Sampler.Notes) != 1 || !strings.Contains(done.Sampler.Notes[0], "of server.log were dropped") {
		t.Errorf("notes %q", done.Sampler.Notes)
	}
}

// The sampler's files are closed even if the server ended in the middle of the trial.
func TestFinishClosesTheFilesOfADeadServer(t *testing.T) {
	files := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	runtime.GC() // what other tests left to finalizers
	before := files()
	p := startToy(t, toyCommand("good"))
	s := &Executor{servers: together(p), file: spool(t)}
	if _, err := p.request("die"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), procfs.Monotonic(), func(any) {}); err == nil {
		t.Error("no error of a server that died")
	}
	if done := finish(t, s); !done.Panicked || done.Exit != "exit status 2" {
		t.Errorf("%+v", done)
	}
	if n := files(); n > before {
		t.Errorf("%d files are open, were %d", n, before)
	}
}

// What counts the system calls of a server that did not start counts no longer.
func TestFinishWithoutAServerStopsCounting(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	counters := func() (n int) {
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
	o, err := observe.New(&observe.Plan{Syscalls: true}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := toyCommand("bad")
	c.Path, c.OnThread = filepath.Join(t.TempDir(), "none"), o.OnThread
	before := counters()
	if _, err := StartProcess(t.Context(), c); err == nil {
		t.Fatal("a program that doesn't exist was started")
	}
	if counters() == before {
		t.Skip("this kernel counts nothing")
	}
	if finish(t, &Executor{observer: o}); counters() != before {
		t.Errorf("%d counters are open, were %d", counters(), before)
	}
}

func TestFinishTellsWhyTheLastReadingIsMissing(t *testing.T) {
	p := startToy(t, toyCommand("good"))
	s := &Executor{servers: together(p), file: spool(t)}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Run(ctx, procfs.Monotonic(), func(any) { cancel() }); err != nil {
		t.Fatal(err)
	}
	freeze(t, p)
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	answer, err := s.Finish(ctx)
	if err != nil || !strings.Contains(string(answer), "did not tell its last readings") {
		t.Errorf("%s, %v", answer, err)
	}
}
