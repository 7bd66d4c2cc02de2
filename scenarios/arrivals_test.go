package scenarios

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withArrivals is a scenario of one phase of 10 s with arrivals as in YAML.
func withArrivals(yaml string) (*Scenario, error) {
	return Decode("own.yaml", []byte("name: own\nwhy: to test\nprotocol: frame\nconnections: {count: 1}\nphases: [{name: a, for: 10s, arrivals: "+yaml+"}]\n"))
}

func TestArrivalsInYAML(t *testing.T) {
	check := func(yaml string, want Arrivals, mean, peak float64) {
		t.Helper()
		s, err := withArrivals(yaml)
		if err != nil {
			t.Errorf("%s: %v", yaml, err)
			return
		}
		got := s.Phases[0].Arrivals
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", yaml, diff)
		}
		if m, p := got.Rate(10*time.Second), got.Peak(10*time.Second); m != mean || p != peak {
			t.Errorf("%s: mean %v and peak %v, want %v and %v", yaml, m, p, mean, peak)
		}
		// Set writes it as YAML and reads it again; a plan travels as JSON.
		if s, err = s.Set("payload=20"); err != nil {
			t.Fatalf("%s: %v", yaml, err)
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Scenario
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, back.Phases[0].Arrivals); diff != "" {
			t.Errorf("%s: came back different: %s", yaml, diff)
		}
	}
	check("{}", Arrivals{}, 0, 0)
	check("{ramp: {from: 1k, to: 50k/s}}", Arrivals{Ramp: Ramp{From: 1000, To: 50_000}}, 25_500, 50_000)
	check("{ramp: {from: 2k, poisson: true}}", Arrivals{Ramp: Ramp{From: 2000, Poisson: true}}, 1000, 2000)
	check("{trace: times.txt}", Arrivals{Trace: &Trace{File: "times.txt"}}, 0, 0)
	check("{trace: [0, 0.25, 250ms, 1.000000001, 9s]}",
		Arrivals{Trace: &Trace{TimesNs: []int64{0, 250e6, 250e6, 1_000_000_001, 9e9}}}, 0.5, 3)
}

func TestArrivalsThatMakeNoSense(t *testing.T) {
	check := func(yaml, want string) {
		t.Helper()
		if _, err := withArrivals(yaml); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", yaml, err, want)
		}
	}
	check("{ramp: {from: 1k, to: 2k}, constant: 1k}", "want one of constant, poisson, burst, ramp, trace and closed")
	check("{ramp: {poisson: true}}", "one of them above 0")
	check("{ramp: {from: 1k, till: 2k}}", "phases.arrivals.ramp.from, phases.arrivals.ramp.to")
	check("{ramp: {from: 1k, to: 2k/m}}", "2k/m")
	check("{ramp: 5}", "")
	check("{ramp: {from: 100M, to: 100000001}}", "100000000")
	check("{trace: []}", "no arrivals: want a list of times")
	check("{trace: ''}", "want the name of a file, or times")
	check("{trace: {a: 1}}", "want the name of a file, or times")
	check("{trace: [1s, 0.5]}", "trace[1]: time 500ms comes before 1s")
	check("{trace: [-1]}", "time -1: want 0 to less than 24h")
	check("{trace: [soon]}", `"soon": want a time after the start`)
	check("{trace: [9, 10]}", "last arrival at 10s, but the phase is 10s long: want at least 11s")
}

func TestParseTrace(t *testing.T) {
	got, err := ParseTrace([]byte("# recorded at noon\n0\n\n 0.000000001 # a ns\n1ms\r\n1ms\n1m\n"))
	if want := []int64{0, 1, 1e6, 1e6, 60e9}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	check := func(text, want string) {
		t.Helper()
		if _, err := ParseTrace([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", text, err, want)
		}
	}
	check("", "without an arrival")
	check("# nothing\n\n", "2 lines without an arrival")
	check("0\n1\n0.5\n", "line 3: time 500ms comes before 1s of the arrival above")
	check("0\n1,20\n", "line 2: \"1,20\": want one time a line and no counts")
	check("0 1\n", "line 1: \"0 1\": want a time after the start, in seconds")
	check("-1\n", "line 1: time -1")
	check("1700000000.5\n", "line 1: time 1700000000.5: want 0 to less than 24h")
	check("NaN\n", "line 1")
	check("1e3\n", "line 1")
	check(strings.Repeat("x", 1000), `xxx": want a time`)
}

func TestReadTraces(t *testing.T) {
	s, err := withArrivals("{trace: times.txt}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve(); err == nil || !strings.Contains(err.Error(), "phases.a.arrivals.trace: file times.txt is not read") {
		t.Errorf("resolved unread: %v", err)
	}
	read := func(text string, failure error) (*Scenario, error) {
		return s.ReadTraces(func(file string) ([]byte, error) {
			if file != "times.txt" {
				t.Errorf("asked for %q", file)
			}
			return []byte(text), failure
		})
	}
	r, err := read("1\n2\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Resolve(); err != nil || !slices.Equal(r.Phases[0].Arrivals.Trace.TimesNs, []int64{1e9, 2e9}) {
		t.Errorf("%+v, %v", r, err)
	}
	if s.Phases[0].Arrivals.Trace.TimesNs != nil {
		t.Error("the scenario it was read for has changed")
	}
	for text, want := range map[string]string{"2\n1\n": "reading trace times.txt: line 2", "10\n": "last arrival at 10s"} {
		if _, err := read(text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
	if _, err := read("", errors.New("no such file")); err == nil || !strings.Contains(err.Error(), "phases.a.arrivals.trace: no such file") {
		t.Errorf("%v", err)
	}
}

func TestDamagedTraceInJSON(t *testing.T) {
	for _, text := range []string{`{"count":2,"deltas_ns":"AQ=="}`, `{"count":1,"deltas_ns":"gA=="}`, `{"count":0,"deltas_ns":"?"}`, `[1]`, `{"count":1,"deltas_ns":"////////////AQ=="}`} {
		var tr Trace
		if err := json.Unmarshal([]byte(text), &tr); err == nil {
			t.Errorf("%s: read as %v", text, tr.TimesNs)
		}
	}
}

// FuzzParseTrace: what is read is sorted and comes back from JSON.
func FuzzParseTrace(f *testing.F) {
	f.Add("0\n0.5 # x\n1ms\n")
	f.Fuzz(func(t *testing.T, text string) {
		times, err := ParseTrace([]byte(text))
		if err != nil {
			return
		}
		data, err := json.Marshal(Trace{TimesNs: times})
		if err != nil {
			t.Fatal(err)
		}
		var back Trace
		if err := json.Unmarshal(data, &back); err != nil || !slices.Equal(back.TimesNs, times) || !slices.IsSorted(times) {
			t.Fatalf("%v became %v, %v", times, back.TimesNs, err)
		}
	})
}
