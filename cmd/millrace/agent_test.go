package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
)

// halfEngine measures something, until somebody looked at it, and then can't write its logs.
type halfEngine struct {
	report *clients.Report
	told   chan struct{}
}

var errLogs = errors.New("writing histogram log: no space left on device")

func (e *halfEngine) Run(context.Context, int64) (*clients.Report, error) {
	<-e.told
	return e.report, errLogs
}

func (e *halfEngine) Progress() clients.Progress { return clients.Progress{Phase: "steady"} }

func TestALoadAgentHandsOverWhatItMeasured(t *testing.T) {
	check := func(report *clients.Report) {
		t.Helper()
		e := &halfEngine{report: report, told: make(chan struct{}, 100)}
		l := &loader{engine: e}
		data, err := l.Run(t.Context(), 0, func(p any) {
			if p.(clients.Progress).Phase != "steady" {
				t.Errorf("progress %+v", p)
			}
			e.told <- struct{}{}
		})
		if !errors.Is(err, errLogs) || (data == nil) != (report == nil) {
			t.Errorf("result %s, error %v", data, err)
		}
		// Nobody looks at the engine any more: the race detector would tell.
		if _, err := l.Finish(t.Context()); err != nil {
			t.Error(err)
		}
		if report == nil {
			return
		}
		var got clients.Report
		if err := json.Unmarshal(data, &got); err != nil || got.Planned != report.Planned {
			t.Errorf("planned %d, error %v: want the report", got.Planned, err)
		}
	}
	check(&clients.Report{Planned: 7})
	check(nil)
}

func TestLoadTellsWhatItMeasuredWithoutItsLogs(t *testing.T) {
	srv, err := reflect.Start(reflect.Script{Protocol: "http1"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "response.hlog")); err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100)) // load turns it off
	var out strings.Builder
	c := loadCommand()
	c.SetArgs([]string{srv.URL(), "-c", "2", "-d", "100ms", "--rate", "100", "--logs", dir})
	c.SetOut(&out)
	c.SetErr(&out)
	err = c.Execute()
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(out.String(), "10 planned") {
		t.Errorf("error %v: want that the disk is full, and the report:\n%s", err, &out)
	}
}
