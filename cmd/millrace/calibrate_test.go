package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/capacity"
	"github.com/millrace/millrace/clients/floor"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/hostkey"
	"github.com/millrace/millrace/internal/validity"
)

// withCache runs the program with a cache of its own and returns what it wrote.
func withCache(t *testing.T, cache string, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(binDir, "millrace"), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), hostkey.CacheVariable+"="+cache)
	var status *exec.ExitError
	if err := cmd.Run(); err != nil && !(errors.As(err, &status) && status.ExitCode() == exitInvalid) {
		t.Fatalf("millrace %v: %v\n%s", args, err, errs.String())
	}
	return out.String(), errs.String()
}

// floorFile is the name of the file in which the program under test keeps the floor, which only it knows.
var floorFile = sync.OnceValues(func() (string, error) {
	cmd := exec.Command(filepath.Join(binDir, "millrace"), "calibrate", "--quick", "-c", "1")
	cmd.Env = append(os.Environ(), hostkey.CacheVariable+"="+filepath.Join(binDir, "cache"))
	out, err := cmd.Output()
	if err != nil {
		return "", err
	}
	_, path, ok := strings.Cut(strings.TrimSpace(string(out)), ", in ")
	if !ok {
		return "", fmt.Errorf("calibrate does not say where it keeps the floor:\n%s", out)
	}
	return filepath.Base(path), nil
})

// keep puts a floor with one shape where the program looks for it: a test must not hang on how fast this host is.
func keep(t *testing.T, cache string, k floor.Kind, most float64) {
	t.Helper()
	name, err := floorFile()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCalibration(true)
	if err != nil {
		t.Fatal(err)
	}
	f := floorOn(c.split)
	f.Add(floor.Shape{Kind: k, MaxRPS: most})
	if err := floor.Store(filepath.Join(cache, name), f); err != nil {
		t.Fatal(err)
	}
}

// changeFloor changes the floor that is kept.
func changeFloor(t *testing.T, cache string, change func(*floor.Floor)) {
	t.Helper()
	name, err := floorFile()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, name)
	f, err := floor.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	change(&f)
	if err := floor.Store(path, f); err != nil {
		t.Fatal(err)
	}
}

// floorCheck is the check in a load's report.
func floorCheck(t *testing.T, cache, url string) validity.Check {
	t.Helper()
	out, _ := withCache(t, cache, "load", url, "-c", "10", "-d", "1s", "--rate", "100", "--json", "-")
	var r clients.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if c.Name == floor.CheckName {
			if suspect := strings.Contains(strings.Join(r.Reasons, ";"), floor.CheckName+": "); suspect != (c.State == validity.Warn) {
				t.Errorf("check %+v, reasons %v", c, r.Reasons)
			}
			return c
		}
	}
	t.Fatalf("no check of the floor among %v", r.Checks)
	return validity.Check{}
}

func TestLoadIsHeldAgainstTheFloor(t *testing.T) {
	srv, err := reflect.Start(reflect.Script{Protocol: "http1"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	cache := t.TempDir()
	kind := floor.Kind{Engine: "epoll", Protocol: "http1", Connections: 10, Pipeline: 1, Payload: 13}
	// A load measures no floor, and without one its verdict does not suffer.
	if c := floorCheck(t, cache, srv.URL()); c.State != validity.NotApplicable || !strings.Contains(c.Reason, "run `millrace calibrate -c 10`") {
		t.Errorf("without a floor: %+v", c)
	}
	keep(t, cache, kind, 150)
	if c := floorCheck(t, cache, srv.URL()); c.State != validity.Warn || !strings.Contains(c.Reason, "100/s is 67 % of the 150/s") {
		t.Errorf("above half the floor's rate: %+v", c)
	}
	out, _ := withCache(t, cache, "load", srv.URL(), "-c", "10", "-d", "1s", "--sweep", "100", "--json", "-")
	var rec capacity.Record
	if err := json.Unmarshal([]byte(out), &rec); err != nil {
		t.Fatal(err)
	}
	if last := rec.Trials[len(rec.Trials)-1]; !strings.Contains(strings.Join(last.Reasons, ";"), "100/s is 67 % of the 150/s") {
		t.Errorf("a sweep's trial above half the floor's rate: %v", last.Reasons)
	}
	keep(t, cache, kind, 201)
	if c := floorCheck(t, cache, srv.URL()); c.State != validity.OK {
		t.Errorf("below half the floor's rate: %+v", c)
	}
	changeFloor(t, cache, func(f *floor.Floor) { f.Client = append(f.Client, 4095) })
	if c := floorCheck(t, cache, srv.URL()); c.State != validity.NotApplicable {
		t.Errorf("measured on other CPUs: %+v", c)
	}
}

func TestRunCalibratesOnce(t *testing.T) {
	cache := t.TempDir()
	scenario := filepath.Join(t.TempDir(), "own.yaml")
	text := "name: own\nwhy: to test\nprotocol: frame\nconnections: {count: 7}\nphases: [{name: steady, for: 1s, arrivals: {constant: 100/s}, measure: true}]\n"
	if err := os.WriteFile(scenario, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func() string {
		_, errs := withCache(t, cache, "run", scenario, "--rounds", "1", "--servers", "goroutine", "--results", t.TempDir())
		return errs
	}
	const told = "calibrating the client, once for this host, kernel and program: frame, 7 connections"
	if errs := run(); !strings.Contains(errs, told) {
		t.Errorf("the first run does not calibrate:\n%s", errs)
	}
	// A busy host may have kept none.
	keep(t, cache, floor.Kind{Engine: "epoll", Protocol: "frame", Connections: 7, Pipeline: 1, Payload: 13}, 1e6)
	if errs := run(); strings.Contains(errs, "calibrating") {
		t.Errorf("the second run calibrates again:\n%s", errs)
	}
}
