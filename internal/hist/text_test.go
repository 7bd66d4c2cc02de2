package hist

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTextGoesThereAndBack(t *testing.T) {
	odd := of(draw(11, 5000)...)
	odd.Record(-1)
	for _, h := range []*Histogram{New(), of(1), of(Highest), of(-5), odd} {
		data, err := json.Marshal(struct{ H, None *Histogram }{H: h})
		if err != nil {
			t.Fatal(err)
		}
		var back struct{ H, None *Histogram }
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if back.None != nil {
			t.Error("nothing came back as something")
		}
		same(t, back.H, h)
		back.H.Record(1000) // as good as new
		if back.H.Count() != h.Count()+1 {
			t.Errorf("%d values after one more, want %d", back.H.Count(), h.Count()+1)
		}
	}
}

func TestTextThatIsNone(t *testing.T) {
	text, err := of(1000, 2000).MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	for _, bad := range []string{"", "1", "1,2", "-1,0,", "x,0,", "1,0,%%", strings.Replace(good, "2000,", "5000,", 1), good[:len(good)-9]} {
		if err := New().UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%.40q: want an error", bad)
		}
	}
}

// A stored histogram is read like a compressed one, also where it takes several blocks.
func TestStoredLogs(t *testing.T) {
	all := New()
	for i := range bucketsLen {
		all.RecordN(lowOf(i), 1<<40)
	}
	for _, h := range []*Histogram{of(5), of(draw(12, 5000)...), all} {
		dir := t.TempDir()
		f, err := CreateFiles(dir, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		f.Stored = true
		f.Start(time.Now())
		f.Write(1, "x", 5, 7, h)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		in, err := os.Open(filepath.Join(dir, "b"))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := ReadLog(in)
		if err != nil || len(entries) != 1 || entries[0].StartNs != 5 {
			t.Fatalf("%d entries, error %v: want the one that was written", len(entries), err)
		}
		same(t, entries[0].Histogram, h)
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEachEntryStops(t *testing.T) {
	log := string(writeLog(t, Entry{"a", 0, 1, of(1)}, Entry{"b", 1, 1, of(2)}))
	n := 0
	stop := errStop{}
	if err := EachEntry(strings.NewReader(log), func(Entry) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("%d entries and error %v, want one and the function's own", n, err)
	}
}

type errStop struct{}

func (errStop) Error() string { return "stop" }
