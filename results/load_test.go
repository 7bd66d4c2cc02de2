package results

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadReturnsWhatWasAppended(t *testing.T) {
	d, trials := aDir(t)
	r := mustLoad(t, d.Path())
	if asJSON(t, r.Trials) != asJSON(t, trials) || len(r.Warnings) != 0 {
		t.Errorf("trials %s, warnings %q", asJSON(t, r.Trials), r.Warnings)
	}
	if got, err := r.Trial("r01-burst-gnet+ants"); err != nil || got.Variant != "gnet/ants" {
		t.Errorf("trial %v, error %v", got, err)
	}
	_, err := r.Trial("r09")
	wantError(t, "unknown trial", err, `"r09"`)
}

// TestLoadAfterCrash cuts trials.jsonl at every byte of its last line.
func TestLoadAfterCrash(t *testing.T) {
	d, _ := aDir(t)
	path := filepath.Join(d.Path(), trialsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := strings.LastIndex(strings.TrimSpace(string(whole)), "\n") + 1
	for cut := last; cut <= len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		r := mustLoad(t, d.Path())
		trials, warnings := 2, 1
		switch cut {
		case last:
			warnings = 0
		case len(whole):
			trials, warnings = 3, 0
		}
		if len(r.Trials) != trials || len(r.Warnings) != warnings {
			t.Fatalf("cut at %d of [%d, %d]: %d trials, warnings %q", cut, last, len(whole), len(r.Trials), r.Warnings)
		}
		if warnings > 0 && !strings.Contains(r.Warnings[0], path+":3: the last line is torn off") {
			t.Fatalf("warning %q: want file and line", r.Warnings[0])
		}
	}
}

// Half a duet may stand in the file again, a whole one may not.
func TestLoadOfHalfADuet(t *testing.T) {
	half := func(variant, partner, status string, sitting int) *Trial {
		x := aTrial(1, variant, 1e9)
		x.Duet, x.Status, x.Sitting = TrialID(1, "burst", partner, 0), status, sitting
		return x
	}
	a := func(status string, sitting int) *Trial { return half("goroutine", "gnet/ants", status, sitting) }
	b := func(status string, sitting int) *Trial { return half("gnet/ants", "goroutine", status, sitting) }
	check := func(what string, trials []*Trial, refused string, warnings ...string) {
		t.Helper()
		d, err := Create(t.TempDir(), aRun(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Append(trials...); err != nil {
			t.Fatal(err)
		}
		r, err := Load(d.Path())
		if refused != "" {
			wantError(t, what, err, refused)
			return
		}
		if err != nil || len(r.Trials) != 2 || r.Trials[0].Sitting != 2 || r.Trials[1].Sitting != 2 {
			t.Errorf("%s: %v, error %v: want the two of sitting 2", what, r, err)
			return
		}
		if got := strings.Join(r.Warnings, "\n"); len(r.Warnings) != len(warnings) || !strings.Contains(got, strings.Join(warnings, "\n")) {
			t.Errorf("%s: warnings %q, want %q", what, r.Warnings, warnings)
		}
	}
	const lost, broken = " lost the other half of its duet (line 1 of trials.jsonl) and run again", " was interrupted (line 1 of trials.jsonl) and run again"
	first, second := "trial r01-burst-goroutine", "trial r01-burst-gnet+ants"
	check("its partner is missing", []*Trial{a(StatusDone, 1), a(StatusDone, 2), b(StatusDone, 2)}, "", first+lost+" (line 2): the later one counts")
	check("its partner was interrupted", []*Trial{a(StatusDone, 1), b(StatusInterrupted, 1), a(StatusDone, 2), b(StatusFailed, 2)}, "",
		first+lost+" (line 3): the later one counts", second+" was interrupted (line 2 of trials.jsonl) and run again (line 4): the later one counts")
	check("its partner was interrupted and comes first", []*Trial{a(StatusInterrupted, 1), b(StatusDone, 1), a(StatusDone, 2), b(StatusDone, 2)}, "",
		first+broken+" (line 3): the later one counts", second+" lost the other half of its duet (line 2 of trials.jsonl) and run again (line 4): the later one counts")
	check("whole", []*Trial{a(StatusDone, 1), b(StatusDone, 1), a(StatusDone, 2), b(StatusDone, 2)}, first+" stands in line 1 already")
}

func TestLoadRefuses(t *testing.T) {
	replaced := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for _, c := range []struct {
		name, file string
		change     func(string) string
		want       []string
	}{
		{"schema of the run", runFile, replaced(`"schema": 1`, `"schema": 9`), []string{"run.json", "schema 9: want 1"}},
		{"unknown key in the run", runFile, replaced(`"seed"`, `"sead"`), []string{"run.json: line 1", `unknown field "sead"`}},
		{"syntax of the run", runFile, replaced(`"seed":`, `"seed"`), []string{"run.json: line ", "invalid character"}},
		{"type in the run", runFile, replaced(`"rounds": 3`, `"rounds": "3"`), []string{"run.json: line ", "cannot unmarshal string"}},
		{"no run", runFile, func(string) string { return `{"schema":1}` }, []string{"run.json", `id ""`}},
		{"schema of a trial", trialsFile, replaced(`{"schema":1`, `{"schema":2`), []string{"trials.jsonl:1: schema 2"}},
		{"foreign line", trialsFile, func(s string) string { return s + "hello\n" }, []string{"trials.jsonl:4: invalid character"}},
		{"empty line", trialsFile, func(s string) string { return "\n" + s }, []string{"trials.jsonl:1: unexpected end"}},
		{"unknown key in a trial", trialsFile, replaced(`"planned"`, `"plan"`), []string{"trials.jsonl:1:", `unknown field "plan"`}},
		{"two records in a line", trialsFile, replaced("}\n{", "}{"), []string{"trials.jsonl:1: invalid character"}},
		{"twice", trialsFile, func(s string) string { return s + s[:strings.Index(s, "\n")+1] }, []string{"trials.jsonl:4: trial r01-burst-goroutine stands in line 1 already"}},
		{"torn in the middle", trialsFile, replaced(`"planned":10,`, "\n"), []string{"trials.jsonl:1: unexpected end"}},
		{"unknown variant", trialsFile, replaced(`"variant":"goroutine"`, `"variant":"evio"`), []string{"trials.jsonl:1:", `variant "evio"`}},
		{"another scenario", trialsFile, replaced(`"scenario":"burst"`, `"scenario":"idle"`), []string{`scenario "idle": the run is of "burst"`}},
		{"round", trialsFile, replaced(`"round":1`, `"round":4`), []string{"round 4: want 1 to 3"}},
		{"status", trialsFile, replaced(`"status":"done"`, `"status":"fine"`), []string{`status "fine": want one of done, failed`}},
		{"verdict", trialsFile, replaced(`"verdict":"VALID"`, `"verdict":"GOOD"`), []string{`verdict "GOOD": want one of`}},
		{"metric", trialsFile, replaced(`"goodput-rps"`, `"qps"`), []string{`metric "qps": want one of`}},
		{"id that leaves the run", trialsFile, replaced(`"id":"r01-burst-goroutine"`, `"id":"../x"`), []string{`trial id "../x"`}},
	} {
		d, _ := aDir(t)
		edit(t, filepath.Join(d.Path(), c.file), c.change)
		_, err := Load(d.Path())
		wantError(t, c.name, err, c.want...)
	}
	_, err := Load(t.TempDir())
	wantError(t, "no run", err, "run.json", "want the directory of a run")
}

func TestReadings(t *testing.T) {
	d, trials := aDir(t)
	id := trials[0].ID
	if err := os.MkdirAll(d.TrialDir(id), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.TrialDir(id), readingsFile)
	v := int64(1 << 40)
	want := []Reading{{Schema: Schema, TNs: -5, Edge: "connect"}, {Schema: Schema, TNs: 1e8, RSSBytes: &v}, {Schema: Schema, TNs: 2e8, Edge: "end"}}
	var lines strings.Builder
	for _, i := range []int{0, 2, 1} {
		lines.WriteString(asJSON(t, want[i]) + "\n")
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	r := mustLoad(t, d.Path())
	if got, err := r.Readings(id); err != nil || asJSON(t, got) != asJSON(t, want) {
		t.Errorf("readings %s, error %v: want them in order of time", asJSON(t, got), err)
	}
	edit(t, path, func(s string) string { return s[:len(s)-9] })
	if got, err := r.Readings(id); !errors.Is(err, ErrTorn) || len(got) != 2 {
		t.Errorf("%d readings, error %v: want the 2 whole ones and ErrTorn", len(got), err)
	}
	edit(t, path, func(s string) string { return "{}\n" + s })
	got, err := r.Readings(id)
	wantError(t, "schema", err, path+":1: schema 0")
	if got != nil {
		t.Error("readings beside an error")
	}
	_, err = r.Readings("r77")
	wantError(t, "unknown trial", err, `"r77"`)
}

func TestLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	long := strings.Repeat("x", 200_000)
	if err := os.WriteFile(path, []byte("a\n"+long+"\n\nb\n"+long), 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := eachLine(path, func(no int, line []byte) error {
		if no != len(got)+1 {
			t.Errorf("line %d has number %d", len(got)+1, no)
		}
		got = append(got, string(line))
		return nil
	})
	if !errors.Is(err, ErrTorn) || !strings.Contains(err.Error(), ":5: ") || strings.Join(got, "|") != "a|"+long+"||b" {
		t.Errorf("%d lines, error %v", len(got), err)
	}
}

func TestHistogram(t *testing.T) {
	d, trials := aDir(t)
	id := trials[0].ID
	writeHlog(t, d, id, "response")
	r := mustLoad(t, d.Path())
	for phase, want := range map[string]int64{"phase0": 3, "phase1": 7, "": 10} {
		if h, err := r.Histogram(id, "response", phase); err != nil || h.Count() != want || h.Max() != 1000 {
			t.Errorf("phase %q: %v, error %v: want %d values", phase, h, err, want)
		}
	}
	_, err := r.Histogram(id, "response", "burst")
	wantError(t, "phase", err, `phase "burst": want one of phase0, phase1`)
	_, err = r.Histogram(id, "latency", "phase0")
	wantError(t, "kind", err, `"latency": want one of response, service, lag`)
	_, err = r.Histogram(id, "lag", "phase0")
	wantError(t, "no file", err, "lag.hlog", "no such file")
	edit(t, filepath.Join(d.TrialDir(id), "response.hlog"), func(s string) string { return s[:len(s)-30] })
	_, err = r.Histogram(id, "response", "phase0")
	wantError(t, "broken log", err, "response.hlog", "line 8")
}
