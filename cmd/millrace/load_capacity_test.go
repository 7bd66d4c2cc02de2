package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/millrace/millrace/clients/capacity"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/validity"
)

// scriptCommands are those that stories have beside testscript's own.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"queue":     startQueue,
	"push":      startPush,
	"reflector": startReflectorOf,
	"await":     awaitFiles,
}

// startQueue is "queue DURATION": a single server that takes so long for each request. Its address is $QUEUE.
func startQueue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: queue DURATION")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	r, err := reflect.Start(reflect.Script{Protocol: "http1", Body: []byte("hello"), Service: d})
	ts.Check(err)
	ts.Defer(func() { ts.Check(r.Close()) })
	ts.Setenv("QUEUE", r.URL())
}

// TestFindAgainstAKnownQueue: Poisson arrivals at a single server that takes D for each request (M/D/1). The median response
// is 3·D where half of the requests wait no longer than 2·D. By Erlang's distribution (clients/known has it with its source)
//
//	P(W ≤ 2D) = (1−ρ)·(e^2ρ − ρ·e^ρ) = 1/2
//
// so that the edge is at ρ = 0.859. A trial of a second has some 25 independent stretches of a queue with that load, which
// gives its median a spread of about 25 %, and ρ one of 5 %: the answer must lie within −20 and +12 %. A busy host makes
// latencies longer and so errs downwards; chance errs both ways, most where the budget ends the search early. So there are
// three tries.
func TestFindAgainstAKnownQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("a search takes ten seconds")
	}
	const service = time.Millisecond
	low, high := 0.0, 1.0
	for range 50 {
		if rho := (low + high) / 2; (1-rho)*(math.Exp(2*rho)-rho*math.Exp(rho)) > 0.5 {
			low = rho
		} else {
			high = rho
		}
	}
	edge := low / service.Seconds()
	r, err := reflect.Start(reflect.Script{Protocol: "http1", Body: []byte("hello"), Service: service})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var last string
	for range 3 {
		var out bytes.Buffer
		cmd := exec.Command(filepath.Join(binDir, "millrace"), "load", r.URL(), "-c", "100", "-d", "1s", "--arrival", "poisson", "--find", "p50<3ms", "--budget", "14s", "--json", "-")
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != exitInvalid {
			t.Fatal(err)
		}
		var rec capacity.Record
		if err := json.Unmarshal(out.Bytes(), &rec); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if rec.Answer == nil || rec.Knee != nil || rec.Objective != "p50<3ms" || len(rec.Trials) < 2 || math.Abs(rec.ClosedLoopRPS*service.Seconds()-1) > 0.05 {
			t.Fatalf("%s", out.String())
		}
		last = rec.Answer.Text
		if v := rec.Answer.RateRPS; v != nil && *v > 0.8*edge && *v < 1.12*edge {
			t.Logf("edge %.0f/s by arithmetic: %s", edge, last)
			return
		}
	}
	t.Errorf("%s: want %.0f/s by arithmetic, −20 to +12 %%", last, edge)
}

// TestInterruptedFindAnswers interrupts a search after its second trial: the best answer so far is printed.
func TestInterruptedFindAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes four seconds")
	}
	r, err := reflect.Start(reflect.Script{Protocol: "http1", Body: []byte("hello"), Service: 100 * time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(filepath.Join(binDir, "millrace"), "load", r.URL(), "-c", "10", "-d", "5s", "--find", "p50<100ms")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "    2  ") {
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var rest strings.Builder
	for lines.Scan() {
		rest.WriteString(lines.Text() + "\n")
	}
	_, _ = io.Copy(io.Discard, out) // to its end
	_ = cmd.Wait()                  // its status is looked at
	if got := cmd.ProcessState.ExitCode(); got != exitInterrupted {
		t.Errorf("exit status %d, want %d\n%s", got, exitInterrupted, errs.String())
	}
	if !strings.Contains(rest.String(), "answer     ") || !strings.Contains(rest.String(), "interrupted") {
		t.Errorf("no answer:\n%s\n%s", rest.String(), errs.String())
	}
}

// TestSearchPrintsALineATrial: a search shows its objective's figures and no others.
func TestSearchPrintsALineATrial(t *testing.T) {
	o, err := capacity.ParseObjective("p99<5ms,ok>99%")
	if err != nil {
		t.Fatal(err)
	}
	rate, p99, met, missed := 1000.0, int64(3_000_000), true, false
	open := func(m *bool, why string) *capacity.Trial {
		tr := &capacity.Trial{OfferedRPS: &rate, Met: m, Why: why}
		tr.Seconds, tr.Planned, tr.OK, tr.Verdict, tr.ResponseNs.P50, tr.ResponseNs.P99 = 2, 2000, 1990, validity.Valid, &p99, &p99
		return tr
	}
	closed := &capacity.Trial{}
	closed.AchievedRPS, closed.Verdict, closed.Planned, closed.OK, closed.ResponseNs.P99 = 20_000, validity.Valid, 10, 10, &p99
	var out bytes.Buffer
	table := newTrialTable(&out, o)
	table.head(&capacity.Record{URL: "http://x/", Engine: "epoll", Connections: 1, Arrival: "poisson"})
	for _, tr := range []*capacity.Trial{closed, open(&met, ""), open(&missed, "p99 3.00 ms"), open(nil, "generator lag: phase load: late (lower it)")} {
		table.row(tr)
	}
	want := `http://x/  epoll engine, 1 connection, poisson arrivals

trial        rate       p99        ok  verdict   state
    1      closed         –     100 %  VALID     capacity 20.0 k/s
    2    1.00 k/s   3.00 ms    99.5 %  VALID     met
    3    1.00 k/s   3.00 ms    99.5 %  VALID     missed
    4    1.00 k/s   3.00 ms    99.5 %  VALID     does not count: generator lag
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestStatusesOfManyTrials holds what a search or a sweep exits with against the statuses of a single load.
func TestStatusesOfManyTrials(t *testing.T) {
	rate := 100.0
	trial := func(offered *float64, v validity.Verdict, limit string, reasons ...string) capacity.Trial {
		tr := capacity.Trial{OfferedRPS: offered}
		tr.Verdict, tr.Limit, tr.Reasons = v, limit, reasons
		return tr
	}
	closed, good := trial(nil, validity.Valid, ""), trial(&rate, validity.Suspect, "")
	late, refused := trial(&rate, validity.Invalid, "generator lag: late"), trial(&rate, validity.Invalid, "", "good replies: none")
	portless := trial(&rate, validity.Valid, "source ports: none")
	check := func(want int, says string, err error, rec capacity.Record) {
		t.Helper()
		got := (&capacityFlags{}).outcome(&rec, err)
		if status := statusOf(t.Context(), got); status != want || got != nil && !strings.Contains(got.Error(), says) {
			t.Errorf("status %d, %v: want %d with %q", status, got, want, says)
		}
	}
	check(exitDone, "", nil, capacity.Record{ClosedLoopRPS: 9, Trials: []capacity.Trial{closed, late, good, refused}})
	check(exitDone, "", nil, capacity.Record{ClosedLoopRPS: 9, Trials: []capacity.Trial{closed, good}, Answer: &capacity.Answer{Outcome: capacity.NoRate}})
	check(exitInvalid, "no trial is VALID or SUSPECT: generator lag", nil, capacity.Record{ClosedLoopRPS: 9, Trials: []capacity.Trial{closed, late}, Answer: &capacity.Answer{Outcome: capacity.Unknown, Text: "unknown: generator lag: late"}})
	check(exitInvalid, "good replies: none", nil, capacity.Record{ClosedLoopRPS: 9, Trials: []capacity.Trial{closed, refused}, Answer: &capacity.Answer{Outcome: capacity.NoRate}})
	check(exitInvalid, "source ports", nil, capacity.Record{ClosedLoopRPS: 9, Trials: []capacity.Trial{closed, portless}})
	check(exitInvalid, "nobody answers", nil, capacity.Record{Trials: []capacity.Trial{trial(nil, validity.Invalid, "", "nobody answers")}, Answer: &capacity.Answer{Outcome: capacity.Unknown}})
	check(exitFailed, "finding", nil, capacity.Record{ClosedLoopRPS: 9, Trials: []capacity.Trial{closed}, Answer: &capacity.Answer{Outcome: capacity.Unknown}})
	check(exitFailed, "no engine", errors.New("no engine"), capacity.Record{ClosedLoopRPS: 9, Trials: []capacity.Trial{closed, late}})
	check(exitInterrupted, "interrupted", nil, capacity.Record{ClosedLoopRPS: 9, Trials: []capacity.Trial{closed, late}, Interrupted: true})
}
