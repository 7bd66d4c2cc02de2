package hist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"
)

var logStart = time.Date(2026, 11, 21, 3, 15, 0, 250e6, time.UTC)

func writeLog(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewLogWriter(&b, logStart)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := w.Write(e.Tag, e.StartNs, e.LengthNs, e.Histogram); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// sample is a log of three intervals, one of which is empty and one of which counted values outside.
func sample() []Entry {
	odd := of(draw(21, 30_000)...)
	odd.Record(-1)
	odd.Record(Highest + 1)
	return []Entry{
		{"baseline", 500_000_000, 1_000_000_000, of(draw(20, 1000)...)},
		{"burst", 1_500_000_001, 999_999_999, New()},
		{"burst", 2_500_000_000, 1_000_000_000, odd},
		{"", 3_500_000_000, 0, of(Lowest, Highest)},
	}
}

func TestLogRoundTrip(t *testing.T) {
	want := sample()
	got, err := ReadLog(bytes.NewReader(writeLog(t, want...)))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d intervals, error %v: want %d", len(got), err, len(want))
	}
	for i := range want {
		if g, w := got[i], want[i]; g.Tag != w.Tag || g.StartNs != w.StartNs || g.LengthNs != w.LengthNs {
			t.Errorf("interval %d: %q from %d of %d: want %q, %d, %d", i, g.Tag, g.StartNs, g.LengthNs, w.Tag, w.StartNs, w.LengthNs)
		}
		same(t, got[i].Histogram, want[i].Histogram)
	}
}

func TestLogRoundTripOfAnyCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := New()
		for range rapid.IntRange(0, 40).Draw(rt, "values") {
			n := rapid.OneOf(rapid.Int64Range(1, 200), rapid.SampledFrom([]int64{1 << 7, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 45, 1 << 57})).Draw(rt, "n")
			h.RecordN(rapid.OneOf(rapid.Int64Range(1, 5000), rapid.Int64Range(1, Highest)).Draw(rt, "ns"), n)
		}
		got, err := ReadLog(bytes.NewReader(writeLog(t, Entry{"x", 0, 1, h})))
		if err != nil {
			rt.Fatal(err)
		}
		same(t, got[0].Histogram, h)
	})
}

// TestLogIsReadByHdrHistogramGo checks that its reader finds every bucket, and that its encoder writes the same payload.
func TestLogIsReadByHdrHistogramGo(t *testing.T) {
	want := sample()
	log := writeLog(t, want...)
	r := hdr.NewHistogramLogReader(bytes.NewReader(log))
	for i, w := range want {
		g, err := r.NextIntervalHistogram()
		if err != nil || g == nil {
			t.Fatalf("interval %d: %v, error %v", i, g, err)
		}
		if g.Tag() != w.Tag || g.TotalCount() != w.Histogram.Count() {
			t.Errorf("interval %d: %q with %d values: want %q, %d", i, g.Tag(), g.TotalCount(), w.Tag, w.Histogram.Count())
		}
		if got, want := g.StartTimeMs(), logStart.UnixMilli()+w.StartNs/1e6; got != want {
			t.Errorf("interval %d starts at %d ms: want %d", i, got, want)
		}
		for b, n := range g.Export().Counts {
			if n != int64(w.Histogram.counts[b]) {
				t.Fatalf("interval %d: bucket %d counts %d: want %d", i, b, n, w.Histogram.counts[b])
			}
		}
		theirs, err := g.Encode(hdr.V2CompressedEncodingCookieBase)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := new(encoder).appendTo(nil, w.Histogram)
		if err != nil {
			t.Fatal(err)
		}
		if w.Histogram.count > 0 && !bytes.Equal(inflate(t, ours), inflate(t, theirs)) {
			t.Errorf("interval %d: payload differs from hdrhistogram-go's", i)
		}
	}
}

func inflate(t *testing.T, text []byte) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(raw[8:]))
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hdrJar is where Debian's libhdrhistogram-java puts the original implementation.
const hdrJar = "/usr/share/java/hdrhistogram.jar"

// TestLogIsReadByJava lets org.HdrHistogram.HistogramLogProcessor print the percentiles of each tag.
func TestLogIsReadByJava(t *testing.T) {
	if _, err := os.Stat(hdrJar); err != nil || testing.Short() {
		t.Skip("needs a second of Java and " + hdrJar + " (apt-get install libhdrhistogram-java)")
	}
	entries := sample()
	path := filepath.Join(t.TempDir(), "response.hlog")
	if err := os.WriteFile(path, writeLog(t, entries...), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"baseline", "burst"} {
		h := New()
		for _, e := range entries {
			if e.Tag == tag {
				h.Merge(e.Histogram)
			}
		}
		out, err := exec.Command("java", "-cp", hdrJar, "org.HdrHistogram.HistogramLogProcessor",
			"-i", path, "-tag", tag, "-outputValueUnitRatio", "1").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, table, found := strings.Cut(string(out), "1/(1-Percentile)\n")
		if !found {
			t.Fatalf("no percentiles in %s", out)
		}
		rows := 0
		for line := range strings.Lines(table) {
			f := strings.Fields(line)
			if len(f) < 3 || strings.HasPrefix(line, "#") {
				continue
			}
			rows++
			value, _ := strconv.ParseFloat(f[0], 64)
			q, _ := strconv.ParseFloat(f[1], 64)
			upTo, _ := strconv.ParseInt(f[2], 10, 64)
			if got := highOf(index(h.valueAt(uint64(upTo)))); math.Abs(value-float64(got)) > 0.01 {
				t.Errorf("%s: Java reads %v at q %v and rank %d: want %d", tag, value, q, upTo, got)
			}
		}
		if total := fmt.Sprintf("Total count    = %12d]", h.Count()); rows < 20 || !strings.Contains(table, total) {
			t.Errorf("%s: %d rows, and no %q in %s", tag, rows, total, table)
		}
	}
}

func TestReadLogRefuses(t *testing.T) {
	good := string(writeLog(t, sample()...))
	lines := strings.SplitAfter(good, "\n")
	foreign, err := hdr.New(1, 1000, 2).Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, log, want string }{
		{"nothing", "", "it is empty"},
		{"another file", "{}\n", `line 1: "{}": want "#[Histogram log format`},
		{"torn line", good[:len(good)-40], "line 9: decoding histogram"},
		{"fields missing", lines[0] + "Tag=a,1.0,2.0\n", "line 2: 2 fields: want start"},
		{"no number", lines[0] + "1.0,x,1.0,AAAA\n", `line 2: number "x": invalid syntax`},
		{"negative start", lines[0] + "-1.0,1.0,1.0,AAAA\n", `line 2: number "-1.0"`},
		{"another layout", lines[0] + "0.0,1.0,0.0," + string(foreign) + "\n", "want 1 to 600000000000 with 3"},
		{"another maximum", lines[0] + strings.Replace(lines[4], ",1.000000000,", ",1.000000000,9", 1), "maximum of "},
		{"outside that is none", lines[0] + "#[Outside: -3]\n", "line 2: "},
		{"line without end", lines[0] + strings.Repeat("A", maxLine+1), "line 2: bufio.Scanner: token too long"},
	} {
		_, err := ReadLog(strings.NewReader(c.log))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v: want %q", c.name, err, c.want)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestLogWriterRefuses(t *testing.T) {
	if _, err := NewLogWriter(fullDisk{}, logStart); err == nil {
		t.Error("a writer that fails gives a log")
	}
	w, err := NewLogWriter(io.Discard, logStart)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"a,b", "a b", "a\n", `"a`} {
		if err := w.Write(tag, 0, 1, New()); err == nil {
			t.Errorf("tag %q is taken", tag)
		}
	}
	if err := w.Write("a", -1, 1, New()); err == nil {
		t.Error("a negative start is taken")
	}
	w.w = fullDisk{}
	if err := w.Write("a", 0, 1, New()); err == nil {
		t.Error("a failed write is no error")
	}
}

// BenchmarkLogWrite writes an interval of 10 000 values, as the load client does every second.
func BenchmarkLogWrite(b *testing.B) {
	w, err := NewLogWriter(io.Discard, logStart)
	if err != nil {
		b.Fatal(err)
	}
	h := typical()
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write("burst", 1e9, 1e9, h); err != nil {
			b.Fatal(err)
		}
	}
}
