package hist

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzReadLog: never panics, takes no more memory than its limits say, and what it accepts survives a round trip.
func FuzzReadLog(f *testing.F) {
	odd := of(1000, 2000, 2000, 5_000_000)
	odd.Record(-1)
	whole := writeLog(f, Entry{"burst", 500_000_000, 1_000_000_000, odd}, Entry{"", 1_500_000_000, 0, New()})
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(bytes.Replace(whole, []byte("Tag=burst,"), nil, 1))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := ReadLog(bytes.NewReader(in))
		if err != nil {
			return
		}
		for _, e := range got {
			if strings.ContainsAny(e.Tag, ", \t\r\n\"") {
				return // a foreign log may hold what ours refuses to write
			}
		}
		again, err := ReadLog(bytes.NewReader(writeLog(t, got...)))
		if err != nil || len(again) != len(got) {
			t.Fatalf("%d intervals, error %v: want the %d that were read", len(again), err, len(got))
		}
		for i := range got {
			same(t, again[i].Histogram, got[i].Histogram)
		}
	})
}
