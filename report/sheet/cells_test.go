package sheet

import "testing"

func TestSpan(t *testing.T) {
	for seconds, want := range map[float64]string{44.6: "45 s", 720: "12 min", 4320: "1 h 12 min", 7200: "2 h 0 min", 273600: "3 d 4 h"} {
		if got := Span(seconds); got != want {
			t.Errorf("%v s reads %q, want %q", seconds, got, want)
		}
	}
}
