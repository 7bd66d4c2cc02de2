package checks

import (
	"testing"
	"time"

	"github.com/millrace/millrace/internal/validity"
)

func TestSurroundings(t *testing.T) {
	phase := func(change func(*Phase)) Phase { return good(change) }
	steal := func(ns int64) Phase {
		return phase(func(p *Phase) { p.StealNs, p.CPUSpanNs = ns, 4e9 })
	}
	expect(t, stealCheck(steal(0)), validity.OK, "")
	expect(t, stealCheck(steal(80_000_000)), validity.OK, "") // 2 % of 4 s
	expect(t, stealCheck(steal(90_000_000)), validity.Warn, "phase steady: other machines took 2.2 % of the client's CPUs (limit 2 %)")
	expect(t, stealCheck(steal(Unknown)), validity.Unknown, "could not be read")
	expect(t, stealCheck(phase(func(p *Phase) { p.CPUSpanNs = 0 })), validity.Unknown, "could not be read")
	// Two ticks of a short phase are more than 2 %, and no measurement.
	expect(t, stealCheck(phase(func(p *Phase) { p.StealNs, p.CPUSpanNs = 20_000_000, 300_000_000 })), validity.OK, "")

	throttled := func(n, ns int64, overload bool) Phase {
		return phase(func(p *Phase) { p.Throttled, p.ThrottledNs, p.Overload = n, ns, overload })
	}
	expect(t, throttleCheck(throttled(0, 0, false)), validity.OK, "")
	expect(t, throttleCheck(throttled(1, 20_000_000, false)), validity.Warn, "stopped the client in 1 periods for 20 ms")
	expect(t, throttleCheck(throttled(3, 21_000_000, false)), validity.Fail, "in 3 periods") // over 1 % of 2 s
	expect(t, throttleCheck(throttled(3, 21_000_000, true)), validity.Warn, "client-bound")
	expect(t, throttleCheck(throttled(Unknown, Unknown, false)), validity.Unknown, "cpu.stat")

	paused := func(pause, sched, response int64) Phase {
		return phase(func(p *Phase) { p.PauseMaxNs, p.SchedP99Ns, p.ResponseP99Ns = pause, sched, response })
	}
	expect(t, runtimeCheck(paused(50_000, 0, 300_000), false), validity.OK, "")
	expect(t, runtimeCheck(paused(51_000, 0, 300_000), false), validity.Warn, "stopped the client for 51 µs or more, limit 50 µs")
	expect(t, runtimeCheck(paused(51_000, 0, 2_000_000), false), validity.OK, "") // 5 % of 2 ms
	expect(t, runtimeCheck(paused(0, 9_000_000, 300_000), false), validity.OK, "")
	expect(t, runtimeCheck(paused(0, 9_000_000, 300_000), true), validity.Warn, "goroutines waited for a thread is 9 ms or more")
}

func TestShareOfLatency(t *testing.T) {
	load := func(s Share, change func(*Phase)) Load { return Load{Share: s, Phases: []Phase{good(change)}} }
	const ms = 1_000_000
	expect(t, shareCheck(load(Share{}, nil)), validity.NotApplicable, "unknown: the kernel gave no time stamps")
	expect(t, shareCheck(load(Share{Samples: 99, ClientP99Ns: ms, ResponseP99Ns: ms}, nil)), validity.NotApplicable, "99 requests with time stamps, want 100")
	expect(t, shareCheck(load(Share{Samples: 100, ClientP99Ns: 2 * ms, ResponseP99Ns: 10 * ms}, nil)), validity.OK, "")
	expect(t, shareCheck(load(Share{Samples: 100, ClientP99Ns: 3 * ms, ResponseP99Ns: 10 * ms}, nil)), validity.Warn, "p99 of the time spent in the client is 3 ms, 30 % of their response p99 (limit 20 %)")
	expect(t, shareCheck(load(Share{Samples: 1000, ClientP99Ns: 6 * ms, ResponseP99Ns: 10 * ms}, nil)), validity.Fail, "60 % of their")
	// Half the time, in other requests than wire and server had theirs: the p99 is not mostly the client's.
	expect(t, shareCheck(load(Share{Samples: 1000, ClientP99Ns: 6 * ms, WireServerP99Ns: 5 * ms, ResponseP99Ns: 10 * ms}, nil)), validity.Warn, "wire and server alone have a p99 of 5 ms")
	expect(t, shareCheck(load(Share{Samples: 1000, ClientP99Ns: 6 * ms, WireServerP99Ns: 4 * ms, ResponseP99Ns: 10 * ms}, nil)), validity.Fail, "wire and server alone have a p99 of 4 ms")
	expect(t, shareCheck(load(Share{Samples: 999, ClientP99Ns: 6 * ms, ResponseP99Ns: 10 * ms}, nil)), validity.Warn, "60 % of their")
	closed := func(p *Phase) { p.Closed = true }
	expect(t, shareCheck(load(Share{Samples: 100, ClientP99Ns: 3 * ms, ResponseP99Ns: 10 * ms}, closed)), validity.NotApplicable, "")
	overload := func(p *Phase) { p.Overload = true }
	expect(t, shareCheck(load(Share{Samples: 1000, ClientP99Ns: 6 * ms, ResponseP99Ns: 10 * ms}, overload)), validity.Warn, "client-bound")
	if v, _ := validity.Judge([]validity.Check{shareCheck(load(Share{}, nil))}); v != validity.Valid {
		t.Errorf("a kernel without time stamps makes the load %s", v)
	}
}

func TestTheOpenLoop(t *testing.T) {
	load := func(limited int64, closed bool) Load {
		return Load{Limited: limited, Limit: "all 8 workers being busy", Phases: []Phase{good(func(p *Phase) { p.Closed = closed })}}
	}
	expect(t, openCheck(load(0, false)), validity.OK, "")
	expect(t, openCheck(load(7, false)), validity.Warn, "7 requests of steady phases waited for a limit of the engine, all 8 workers being busy")
	expect(t, openCheck(load(7, true)), validity.NotApplicable, "")
}

func TestKnownAnswer(t *testing.T) {
	at := time.Date(2026, 11, 21, 4, 5, 0, 0, time.UTC)
	expect(t, KnownAnswer(Verified{At: at, Passed: 9}), validity.OK, "")
	expect(t, KnownAnswer(Verified{At: at, Passed: 8, Failed: []string{"freeze"}}), validity.Warn, "the engine's selfcheck of 2026-11-21 04:05 failed 1 of 9 cases: freeze")
	never := KnownAnswer(Verified{Never: "never run on this host: run `millrace selfcheck`"})
	expect(t, never, validity.NotApplicable, "never run on this host")
	expect(t, KnownAnswer(Verified{}), validity.NotApplicable, "no case was run")
	if v, _ := validity.Judge([]validity.Check{never}); v != validity.Valid {
		t.Errorf("a selfcheck that never ran makes the load %s", v)
	}
}
