package judge

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/floor"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/sut"
)

func ptr(v int64) *int64 { return &v }

// expect checks a check's state and that its reason names what it should; what is not OK must say what to do.
func expect(t *testing.T, c validity.Check, state validity.State, reason string) {
	t.Helper()
	if c.State != state || !strings.Contains(c.Reason, reason) {
		t.Errorf("%s: %s, %q: want %s and %q in it", c.Name, c.State, c.Reason, state, reason)
	}
	if sound := c.State == validity.OK; sound != (c.Reason == "") || sound != (c.Remedy == "") {
		t.Errorf("%s: %s with reason %q and remedy %q", c.Name, c.State, c.Reason, c.Remedy)
	}
}

func TestCheckHandled(t *testing.T) {
	check := func(outcomes map[string]int64, handled *int64, state validity.State, reason string) {
		t.Helper()
		expect(t, checkHandled(&clients.Report{Outcomes: outcomes}, results.Reading{Handled: handled}), state, reason)
	}
	all := map[string]int64{"ok": 90, "http_error": 7, "bad_payload": 3}
	check(all, ptr(100), validity.OK, "")
	check(all, ptr(99), validity.Fail, "the client counts 100 replies, the server 99")
	check(all, ptr(101), validity.Fail, "want 100 to 100")
	check(all, nil, validity.Unknown, "the server's counters at the end could not be read")
	lost := map[string]int64{"ok": 90, "timeout": 1, "in_flight": 2, "eof": 3, "reset": 4, "protocol_error": 5, "unsent": 100, "refused": 100, "shed": 100}
	check(lost, ptr(90), validity.OK, "")
	check(lost, ptr(105), validity.OK, "")
	check(lost, ptr(106), validity.Fail, "want 90 to 105")
}

func TestCheckAccepted(t *testing.T) {
	check := func(opened int64, outcomes map[string]int64, accepted, refused *int64, state validity.State) {
		t.Helper()
		load := &clients.Report{ConnectionsOpened: opened, Outcomes: outcomes}
		c := checkAccepted(load, results.Reading{Accepted: accepted, Refused: refused})
		if c.State != state {
			t.Errorf("%d opened, accepted %v, refused %v: %+v", opened, accepted, refused, c)
		}
	}
	check(10, nil, ptr(10), nil, validity.OK)
	check(10, nil, ptr(8), ptr(2), validity.OK)
	check(10, nil, ptr(9), ptr(0), validity.Fail)
	check(10, nil, ptr(11), ptr(0), validity.Fail)
	check(10, map[string]int64{"connect_timeout": 1, "reset": 1, "in_flight": 1}, ptr(13), nil, validity.OK)
	check(10, map[string]int64{"in_flight": 2}, ptr(8), nil, validity.OK) // open to the kernel, not yet accepted
	check(10, map[string]int64{"in_flight": 2}, ptr(7), nil, validity.Fail)
	check(10, map[string]int64{"timeout": 9}, ptr(11), nil, validity.Fail)
	check(10, nil, nil, ptr(1), validity.Unknown)
}

func TestCheckBytes(t *testing.T) {
	check := func(in int64, outcomes map[string]int64, out *int64, state validity.State, reason string) {
		t.Helper()
		expect(t, checkBytes(&clients.Report{BodyBytesIn: in, Outcomes: outcomes}, results.Reading{BodyBytesOut: out}, 13), state, reason)
	}
	good := map[string]int64{"ok": 10}
	check(130, good, ptr(130), validity.OK, "")
	check(130, good, ptr(131), validity.Fail, "the client counts 130 bytes of reply bodies, the server 131")
	check(131, good, ptr(130), validity.Fail, "")
	check(130, good, nil, validity.Unknown, "could not be read")
	// One failed request must not hide what the others show.
	lost := map[string]int64{"ok": 10, "timeout": 2}
	check(130, lost, ptr(130), validity.OK, "")
	check(130, lost, ptr(156), validity.OK, "")
	check(130, lost, ptr(157), validity.Fail, "want 130 to 156")
	check(130, lost, ptr(129), validity.Fail, "")
	check(130, map[string]int64{"ok": 10, "unsent": 5}, ptr(143), validity.Fail, "want 130 to 130")
}

func TestCheckKernelDrops(t *testing.T) {
	check := func(first, last results.Reading, state validity.State, name, remedy string) {
		t.Helper()
		for _, c := range checkKernelDrops([]results.Reading{first, {}, last}, nil) {
			if want := state; c.Name == "kernel drops, "+name {
				expect(t, c, want, "")
				if !strings.Contains(c.Remedy, remedy) {
					t.Errorf("%s: remedy %q: want %q in it", name, c.Remedy, remedy)
				}
			}
		}
	}
	check(results.Reading{ListenOverflows: ptr(7)}, results.Reading{ListenOverflows: ptr(7)}, validity.OK, "listen overflows", "")
	check(results.Reading{ListenOverflows: ptr(7)}, results.Reading{ListenOverflows: ptr(8)}, validity.Warn, "listen overflows", "somaxconn")
	check(results.Reading{ListenDrops: ptr(0)}, results.Reading{ListenDrops: ptr(2)}, validity.Warn, "listen drops", "tcp_max_syn_backlog")
	check(results.Reading{SynRetransmits: ptr(0)}, results.Reading{SynRetransmits: ptr(2)}, validity.Warn, "SYN retransmits", "lower connections.rate, or the arrivals")
	check(results.Reading{BacklogDrops: ptr(0)}, results.Reading{BacklogDrops: ptr(2)}, validity.Warn, "backlog drops", "tcp_rmem")
	checks := checkKernelDrops(nil, errors.New("disk gone"))
	if len(checks) != 4 {
		t.Errorf("%d checks, want 4", len(checks))
	}
	for _, c := range checks {
		expect(t, c, validity.Unknown, "/proc/net/netstat and snmp could not be read: disk gone")
	}
}

func TestCheckSteal(t *testing.T) {
	check := func(readings []results.Reading, err error, state validity.State, reason string) {
		t.Helper()
		expect(t, checkSteal(readings, err, 2), state, reason)
	}
	over := func(stolen int64) []results.Reading {
		return []results.Reading{{TNs: 1e9, StealNs: ptr(5e9)}, {TNs: 11e9, StealNs: ptr(5e9 + stolen)}}
	}
	check(over(0), nil, validity.OK, "")
	check(over(4e8), nil, validity.OK, "") // 2 % of 10 s on 2 CPUs
	check(over(5e8), nil, validity.Warn, "took 2.5 % of this host's CPU time (limit 2 %)")
	check(over(0)[:1], nil, validity.Unknown, "/proc/stat")
	check(nil, errors.New("disk gone"), validity.Unknown, "disk gone")
}

// results looks the check up by its name, and must not know package checks.
func TestALostAgentIsKnownByItsCheck(t *testing.T) {
	if checks.AgentsName != results.AgentsCheck {
		t.Errorf("the check is called %q, results looks for %q", checks.AgentsName, results.AgentsCheck)
	}
}

func TestCheckServerThrottling(t *testing.T) {
	expect(t, checkServerThrottling(sut.SamplerStats{}), validity.OK, "")
	expect(t, checkServerThrottling(sut.SamplerStats{Throttled: 2, ThrottledNs: 30_000_000}), validity.Warn, "in 2 periods for 30.0 ms")
	expect(t, checkServerThrottling(sut.SamplerStats{Throttled: -1, ThrottledNs: -1}), validity.Unknown, "cpu.stat")
}

func TestCheckHealth(t *testing.T) {
	expect(t, checkHealth(sut.Done{}), validity.OK, "")
	expect(t, checkHealth(sut.Done{Exit: "exit status 1"}), validity.Warn, "exit status 1")
	expect(t, checkHealth(sut.Done{Exit: "exit status 2", Panicked: true, Log: []string{"panic: x", "main.go:1"}}), validity.Fail, "panic: x | main.go:1")
}

func TestCheckTrialRunsEveryCheck(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Trial(Evidence{Load: &clients.Report{}, Cores: 1}) {
		if names[c.Name] {
			t.Errorf("%s stands twice", c.Name)
		}
		names[c.Name] = true
		if c.Unit == "" {
			t.Errorf("%s has no unit", c.Name)
		}
	}
	for _, name := range []string{
		"two-sided requests", "two-sided connections", "two-sided bytes", "steal", "quiet host", "agents", "start skew", "agents' p99 spread",
		"server health", "server throttling", "kernel drops, listen overflows", floor.CheckName,
	} {
		if !names[name] {
			t.Errorf("no check %s among %v", name, names)
		}
	}
}

func TestStalled(t *testing.T) {
	check := func(p clients.PhaseReport, done sut.Done, want string) {
		t.Helper()
		got := Stalled(&clients.Report{Phases: []clients.PhaseReport{p}}, done)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("stalled says %q, want %q", got, want)
		}
	}
	ok, none := map[string]int64{"ok": 1, "timeout": 9}, map[string]int64{"timeout": 10}
	check(clients.PhaseReport{Name: "burst", Measure: true, Planned: 10, Outcomes: ok}, sut.Done{}, "")
	check(clients.PhaseReport{Name: "burst", Measure: true, Planned: 10, Outcomes: none}, sut.Done{}, "not one good reply to 10 requests of phase burst")
	check(clients.PhaseReport{Name: "warmup", Planned: 10, Outcomes: none}, sut.Done{}, "")
	check(clients.PhaseReport{Name: "still", Measure: true}, sut.Done{}, "")
	check(clients.PhaseReport{}, sut.Done{Killed: true}, "did not stop within 5 s")
}
