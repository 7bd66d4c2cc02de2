package push

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/validity"
)

// good are the figures of ten subscribers at 100 frames a second each for ten seconds.
func good() figures {
	return figures{
		push: &clients.PushReport{
			Subscribers: 10, Subscriptions: 10, PushCounts: clients.PushCounts{Received: 10_000}, Expected: 10_000, LastNs: 9_990_000_000,
			DeliveryNs: &hist.Summary{Count: 10_000},
		},
		wanted: 10, deliveryP99Ns: 1_000_000, threads: 2, measuredNs: 10_000_000_000, lengthNs: 10_000_000_000, endNs: 10_000_000_000,
	}
}

func TestChecks(t *testing.T) {
	expect := func(name string, state validity.State, words string, change func(*figures)) {
		t.Helper()
		f := good()
		change(&f)
		for _, c := range f.checks() {
			switch {
			case c.Name == name && (c.State != state || !strings.Contains(c.Reason, words)):
				t.Errorf("%+v: want %s with %q", c, state, words)
			case c.Name != name && c.State != validity.OK && c.State != validity.NotApplicable:
				t.Errorf("beside %s: %+v", name, c)
			case c.State != validity.OK && c.State != validity.NotApplicable && c.Remedy == "":
				t.Errorf("%+v: no remedy", c)
			}
		}
	}
	expect("push identity", validity.OK, "", func(*figures) {})
	expect("push sequence", validity.OK, "", func(*figures) {})
	expect("push subscribers", validity.OK, "", func(*figures) {})
	expect("push receiver", validity.OK, "", func(*figures) {})
	expect("push identity", validity.Fail, "10001 frames expected by their numbers, but 10000 received and 0 missing", func(f *figures) { f.push.Expected++ })
	expect("push sequence", validity.Fail, "1 out of order, 2 with a wrong payload", func(f *figures) { f.push.Reordered, f.push.Bad = 1, 2 })
	expect("push sequence", validity.Fail, "3 missing", func(f *figures) { f.push.Missing, f.push.Expected = 3, 10_003 })
	expect("push subscribers", validity.Fail, "1 of 10 subscribers had received nothing", func(f *figures) { f.forgotten = 1 })
	expect("push subscribers", validity.OK, "", func(f *figures) { f.push.Silent = 1 }) // it has just subscribed
	expect("push subscribers", validity.Fail, "in the last 1.2", func(f *figures) { f.push.LastNs = 8_800_000_000 })
	expect("push subscribers", validity.OK, "", func(f *figures) { f.push.LastNs = 9_100_000_000 })
	expect("push subscribers", validity.Warn, "101 frames behind another one of the same server, limit 100", func(f *figures) { f.push.BehindMax = 101 })
	expect("push subscribers", validity.Warn, "1 eof, 2 reset; 7 frames came while nobody was there", func(f *figures) {
		f.push.Lost, f.push.Away = map[string]int64{"reset": 2, "eof": 1}, 7
	})
	expect("push subscribers", validity.Warn, "9 of 10 connections were subscribed", func(f *figures) { f.push.Subscribers = 9 })
	expect("push clocks", validity.Warn, "why", func(f *figures) { f.push.Future, f.push.Refused = 1, "why" })
	// Stalls of 300 ms in all of 20 s of two threads: 1.5 %.
	expect("push receiver", validity.Fail, "of the delivery p99 may be the client's own", func(f *figures) {
		for range 30 {
			f.stalls.Add(10_000_000)
		}
	})
	expect("push receiver", validity.Warn, "may be the client's own", func(f *figures) {
		f.deliveryP99Ns = 10_000_000
		for range 30 {
			f.stalls.Add(10_000_000)
		}
	})
}
