package capacity

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/hist"
)

func TestParseObjective(t *testing.T) {
	for text, want := range map[string]struct {
		written  string
		requests int64
		because  string
		longest  time.Duration
	}{
		"p99<5ms":                  {"p99<5ms", 10_000, "p99", 5 * time.Millisecond},
		"p50<200us":                {"p50<200µs", 200, "p50", 200 * time.Microsecond},
		"p99.9<20ms":               {"p99.9<20ms", 100_000, "p99.9", 20 * time.Millisecond},
		"ok>99.9%":                 {"ok>99.9%", 10_000, "ok", 0},
		" p99 < 5ms , ok > 99.99%": {"p99<5ms,ok>99.99%", 100_000, "ok", 5 * time.Millisecond},
		"p90<1s,p50<10ms":          {"p90<1s,p50<10ms", 1000, "p90", time.Second},
		"ok>0%":                    {"ok>0%", 10, "ok", 0},
	} {
		o, err := ParseObjective(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		n, because := o.Requests()
		if o.String() != want.written || n != want.requests || because != want.because || o.Longest() != want.longest {
			t.Errorf("%q: %v, %d requests because of %s, longest %v: want %+v", text, o, n, because, o.Longest(), want)
		}
		if again, err := ParseObjective(o.String()); err != nil || again.String() != o.String() {
			t.Errorf("%q is not read as it is written: %v, %v", o, again, err)
		}
	}
}

// TestObjectiveErrors: each names what is wrong and lists every form.
func TestObjectiveErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "nothing asked for",
		"p99<5ms,":         "nothing asked for",
		"fast":             `"fast" has neither < nor >`,
		"p99=5ms":          "neither < nor >",
		"p99>5ms":          "p99 is a time, which has an upper bound",
		"p98<5ms":          `unknown figure "p98"`,
		"p99<5":            `"5" is no time above 0 and up to 10m0s`,
		"p99<-5ms":         "is no time",
		"p99<11m":          "is no time",
		"p99<":             "is no time",
		"ok<1%":            "ok is a share of good replies, which has a lower bound",
		"ok>0.999":         `"0.999" is no share from 0% to 99.999%`,
		"ok>100%":          "is no share",
		"ok>NaN%":          "is no share",
		"p99<5ms,p99<10ms": "p99 twice",
	} {
		_, err := ParseObjective(text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), forms) {
			t.Errorf("%q: %v: want %q and the forms", text, err, want)
		}
	}
}

func TestJudge(t *testing.T) {
	ms := func(v float64) *int64 { n := int64(v * 1e6); return &n }
	both, err := ParseObjective("p99<5ms,ok>99.9%")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		m          Measured
		met, known bool
		why        string
	}{
		{"met", Measured{Planned: 20_000, OK: 20_000, ResponseNs: hist.Summary{P99: ms(4.999)}}, true, true, ""},
		{"at the bound", Measured{Planned: 20_000, OK: 20_000, ResponseNs: hist.Summary{P99: ms(5)}}, false, true, "p99 5.00 ms"},
		{"one too many failed", Measured{Planned: 20_000, OK: 19_980, ResponseNs: hist.Summary{P99: ms(1)}}, false, true, "ok 99.9 %"},
		{"just enough", Measured{Planned: 20_000, OK: 19_981, ResponseNs: hist.Summary{P99: ms(1)}}, true, true, ""},
		{"infinite", Measured{Planned: 20_000, OK: 10_000}, false, true, "p99 without a good reply, ok 50.0 %"},
		{"too few", Measured{Planned: 9_999, OK: 9_999, ResponseNs: hist.Summary{P99: ms(1)}}, false, false, "9999 requests, p99 needs 10000"},
	} {
		met, known, why := both.Judge(c.m)
		if met != c.met || known != c.known || why != c.why {
			t.Errorf("%s: %v, %v, %q: want %v, %v, %q", c.name, met, known, why, c.met, c.known, c.why)
		}
	}
}
