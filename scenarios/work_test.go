package scenarios

import (
	"strings"
	"testing"
	"time"
)

func TestParseWork(t *testing.T) {
	for _, text := range []string{
		"none", "cpu=50us", "sleep=10ms", "alloc=4KiB", "downstream", "downstream=tcp://127.0.0.1:9000", "downstream=http://127.0.0.1/slow",
		"upload", "upload=https://s3.example.org/bucket",
	} {
		w, err := ParseWork(text)
		kind, value, _ := strings.Cut(text, "=")
		if err != nil || w.Kind != kind {
			t.Errorf("%s: %+v, %v", text, w, err)
		}
		if call := kind == WorkDownstream || kind == WorkUpload; call && (w.URL == nil) != (value == "") {
			t.Errorf("%s: URL %v", text, w.URL)
		}
		if calls := (Work{Kind: text}).Calls(); calls != (text == WorkDownstream || text == WorkUpload) {
			t.Errorf("%s: a run is to start a downstream: %v", text, calls)
		}
	}
	for text, want := range map[string]string{
		"":                              "want one of none, cpu=DURATION",
		"none=1":                        "none without a value",
		"cpu=2m":                        "a duration up to 1m0s, such as cpu=50us",
		"sleep=0s":                      "such as sleep=50us",
		"alloc=0":                       "a size up to 1GiB",
		"alloc=2GiB":                    "a size up to 1GiB",
		"downstream=":                   "downstream=URL with scheme tcp or http",
		"downstream=https://127.0.0.1/": "scheme tcp or http",
		"upload=tcp://127.0.0.1:9000":   "scheme http or https",
	} {
		if _, err := ParseWork(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", text, err, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "512": 512, "512B": 512, "4KiB": 4096, "1MiB": 1 << 20, "1 GiB": 1 << 30} {
		if n, err := ParseSize(text); n != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1kB", "1.5KiB", "2000000000000", "2000GiB"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}

func TestParseLatency(t *testing.T) {
	for text, want := range map[string]Latency{
		"constant=0s":        {Kind: "constant"},
		"exponential=10ms":   {Kind: "exponential", Center: 10 * time.Millisecond},
		"lognormal=5ms, 0.5": {},
		"lognormal=5ms,0.5":  {Kind: "lognormal", Center: 5 * time.Millisecond, Sigma: 0.5},
	} {
		l, err := ParseLatency(text)
		if (err != nil) != (want.Kind == "") || l.Kind != want.Kind || l.Center != want.Center || l.Sigma != want.Sigma {
			t.Errorf("%s: %+v, %v", text, l, err)
		}
	}
	if l, err := ParseLatency("trace=1ms,2ms,1m"); err != nil || len(l.Trace) != 3 || l.Trace[2] != time.Minute {
		t.Errorf("trace: %+v, %v", l, err)
	}
	for _, text := range []string{
		"", "constant", "constant=", "constant=61s", "constant=-1ms", "constant=1ms,2ms", "exponential=0s", "lognormal=5ms", "lognormal=5ms,0", "lognormal=5ms,4",
		"lognormal=5ms,NaN", "trace=", "trace=1ms,", "normal=5ms",
	} {
		if l, err := ParseLatency(text); err == nil || !strings.Contains(err.Error(), "want "+Latencies) {
			t.Errorf("%s: %+v, %v", text, l, err)
		}
	}
	if _, err := ParseLatency("trace=" + strings.Repeat("1ms,", 30_000) + "1ms"); err == nil || !strings.Contains(err.Error(), "want at most 100000") || len(err.Error()) > 200 {
		t.Errorf("a long trace: %v", err)
	}
}

const calling = `
name: own
why: to test
protocol: http1
payload: 100
connections: {count: 10, rate: 100/s, steps: [5, 10]}
work: {kind: downstream, share: 10%}
phases: [{name: a, for: 3s, each: step}, {name: b, for: 3s, measure: true}]
`

func TestDownstreamDefaults(t *testing.T) {
	s, err := Decode("own.yaml", []byte(calling))
	if err != nil || s.Downstream.Protocol != "tcp" || s.Downstream.Latency != "constant=5ms" {
		t.Fatalf("%+v, %v", s, err)
	}
	upload := strings.Replace(calling, "kind: downstream", "kind: upload", 1) + "request: {method: POST}\n"
	if s, err = Decode("own.yaml", []byte(upload)); err != nil || s.Downstream.Protocol != "http" || s.Request.Body != "json" {
		t.Fatalf("%+v, %v", s, err)
	}
}

// Windows are relative to their phase, of a phase that is repeated to its first; connecting comes before all.
func TestSpans(t *testing.T) {
	s, err := Decode("own.yaml", []byte(calling+`
downstream: {windows: [{phase: b, after: 500ms, for: 2s, latency: stall}, {phase: a, after: 1s, for: 1s, latency: refuse}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Resolve(); err != nil {
		t.Fatal(err)
	}
	const second = int64(time.Second)
	spans := s.Spans() // a second to connect, twice 3 s of phase a
	if len(spans) != 2 || spans[0] != [2]int64{15 * second / 2, 19 * second / 2} || spans[1] != [2]int64{2 * second, 3 * second} {
		t.Errorf("spans %v", spans)
	}
}

func TestBadDownstreams(t *testing.T) {
	for more, want := range map[string]string{
		"downstream: {protocol: udp}":                                                                                   `downstream.protocol "udp": want one of tcp, http`,
		"downstream: {latency: soon}":                                                                                   `downstream.latency "soon": want constant=DURATION`,
		"downstream: {windows: [{phase: c, for: 1s, latency: stall}]}":                                                  `downstream.windows[0].phase "c": want one of a, b`,
		"downstream: {windows: [{phase: b, latency: stall}]}":                                                           "downstream.windows[0].for 0s: want more than 0s",
		"downstream: {windows: [{phase: b, after: 2s, for: 2s, latency: stall}]}":                                       "an end before that of the last phase",
		"downstream: {windows: [{phase: b, for: 1s, latency: hang}]}":                                                   "or stall, or refuse",
		"downstream: {windows: [{phase: b, for: 2s, latency: stall}, {phase: b, after: 1s, for: 1s, latency: refuse}]}": "windows[1] overlaps with windows[0]: want spans apart",
		"request: {method: PUT}":                                                                                        `request.method "PUT": want one of GET, POST`,
	} {
		_, err := Decode("own.yaml", []byte(calling+more+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", more, err, want)
		}
	}
	idle := strings.Replace(calling, "{kind: downstream, share: 10%}", "{kind: none}", 1)
	if _, err := Decode("own.yaml", []byte(idle+"downstream: {latency: constant=1ms}\n")); err == nil || !strings.Contains(err.Error(), "nobody would call it") {
		t.Errorf("a downstream that nobody calls: %v", err)
	}
	upload := strings.Replace(calling, "kind: downstream", "kind: upload", 1)
	if _, err := Decode("own.yaml", []byte(upload)); err == nil || !strings.Contains(err.Error(), "there is nothing to upload: want POST") {
		t.Errorf("uploads without bodies: %v", err)
	}
	if _, err := Decode("own.yaml", []byte(upload+"request: {method: POST}\ndownstream: {protocol: tcp}\n")); err == nil || !strings.Contains(err.Error(), "want http") {
		t.Errorf("uploads over tcp: %v", err)
	}
}
