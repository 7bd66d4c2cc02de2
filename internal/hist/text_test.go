package hist

import (
	"encoding/json"
	"strings"
	"testing"
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
