package compared

import "testing"

func TestSpans(t *testing.T) {
	for want, numbers := range map[string][]int{"": nil, "2": {2}, "1–2": {1, 2}, "1–3, 5": {1, 2, 3, 5}, "1, 3–4": {1, 3, 4}} {
		if got := spans(numbers); got != want {
			t.Errorf("spans(%v) = %q, want %q", numbers, got, want)
		}
	}
}
