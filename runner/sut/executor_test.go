package sut

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
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

// A panic that was recovered long before the end is still a crash, and its line is told.
func TestFinishTellsAnOldPanic(t *testing.T) {
	done := finish(t, &Executor{process: startToy(t, toyCommand("recovering"))})
	if !done.Panicked || len(done.Log) != tailLines+1 || !strings.Contains(done.Log[0], "http: panic serving") || done.Exit != "" {
		t.Errorf("%+v", done)
	}
	if done = finish(t, &Executor{process: startToy(t, toyCommand("good"))}); done.Panicked {
		t.Errorf("%+v", done)
	}
}

func TestFinishTellsThatTheLogWasCut(t *testing.T) {
	c := toyCommand("noisy")
	c.LogPath = filepath.Join(t.TempDir(), "server.log")
	done := finish(t, &Executor{process: startToy(t, c)})
	if len(done.Sampler.Notes) != 1 || !strings.Contains(done.Sampler.Notes[0], "of server.log were dropped") {
		t.Errorf("notes %q", done.Sampler.Notes)
	}
}
