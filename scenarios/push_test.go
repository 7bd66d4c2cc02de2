package scenarios

import (
	"strings"
	"testing"
)

const subscribers = "name: own\nwhy: to test\nprotocol: push\nconnections: {count: 10}\nphases: [{name: a, for: 1s}]\n"

func TestPush(t *testing.T) {
	s, err := Decode("own.yaml", []byte(subscribers))
	if err != nil {
		t.Fatal(err)
	}
	if want := (PushLoad{Rate: 10, Queue: 64, Overflow: "drop-oldest"}); s.Push != want || !s.Pushes() {
		t.Errorf("push %+v, want %+v", s.Push, want)
	}
	check := func(more, want string) {
		t.Helper()
		if _, err := Decode("own.yaml", []byte(subscribers+more)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", more, err, want)
		}
	}
	check("push: {overflow: panic}", "want one of block, drop-oldest, disconnect")
	check("push: {queue: 70000}", "want 1 to 65536 frames")
	check("push: {slow: 1%}", "push.slow_rate")
	check("push: {slow_rate: 1/s}", "want a share of slow subscribers")
	check("push: {heartbeat: 1ms}", "push.heartbeat")
	check("payload: 1048561", "want 1 to 1048560 bytes")
	check("replicas: 2", "replicas 2 where the server sends on its own")
	check("replicas: auto", "want 1")
	check("payload: 1000000\npush: {queue: 2000}", "bytes together")
}

// TestPushScenarios holds the deliveries that the two scenarios' WHY names against their fields.
func TestPushScenarios(t *testing.T) {
	for _, name := range []string{"push", "push-ws"} {
		s := mustNamed(t, name)
		if n := float64(s.Push.Rate) * float64(s.Connections.Count); n != 25_000 || !strings.Contains(s.Why, "25 000 deliveries a second") {
			t.Errorf("%s: %v deliveries a second", name, n)
		}
	}
}
