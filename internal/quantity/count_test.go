package quantity

import "testing"

func TestCount(t *testing.T) {
	check := func(n int, noun, want string) {
		t.Helper()
		if got := Count(n, noun); got != want {
			t.Errorf("Count(%d, %q) = %q, want %q", n, noun, got, want)
		}
	}
	check(0, "request", "0 requests")
	check(1, "request", "1 request")
	check(1, "process", "1 process")
	check(2, "process", "2 processes")
	check(3, "other request", "3 other requests")
	check(2, "reply", "2 replies")
	check(2, "delay", "2 delays")
	if got := Count(int64(1), "connection"); got != "1 connection" {
		t.Error(got)
	}
}
