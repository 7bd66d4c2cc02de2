package wire

import (
	"bytes"
	"testing"
)

// The pattern is known to server programs and clients of other builds: it must not change.
func TestPayload(t *testing.T) {
	for n, want := range map[int]string{0: "", 13: "Hello, World!", 30: "Hello, World! millrace Hello, "} {
		if got := string(Payload(n)); got != want {
			t.Errorf("Payload(%d) = %q, want %q", n, got, want)
		}
	}
	p := Payload(1 << 16)
	for shift := 1; shift < len(p); shift *= 2 {
		if bytes.Equal(p[shift:], p[:len(p)-shift]) {
			t.Errorf("shifted by %d it looks the same", shift)
		}
	}
}
