package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/validity"
)

func TestFieldsBecomeFlags(t *testing.T) {
	check := func(f loadFlags, text, want string) {
		t.Helper()
		if got := f.words(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	var f loadFlags
	check(f, "lower connections.count or connections.rate", "lower -c or --connect-rate")
	check(f, "or open connections more slowly: lower connections.rate, or the arrivals where requests open connections",
		"or open connections more slowly: lower --connect-rate, or --rate where requests open connections")
	check(f, "timeout 20m0s: want 1ms to 10m", "--timeout 20m0s: want 1ms to 10m")
	check(f, "the timeout passed", "the timeout passed")
	check(f, "phases: 70 of them, want 1 to 64", "--rate: 70 parts, want 1 to 64")
	check(f, "phases.load.for 1ms: want 10ms to 24h0m0s", "-d 1ms: want 10ms to 24h0m0s")
	check(loadFlags{rate: "5/s"}, "phases.load.for 1ms: want", "-d 1ms: want")
	check(loadFlags{rate: "5/1ms,6"}, "phases.step-1.for 1ms: want", "--rate: duration 1ms: want")
	check(loadFlags{rate: "1k"}, "phases.load.arrivals: 7 requests", "--rate: 7 requests")
	check(loadFlags{trace: "x"}, "phases.load.arrivals.trace: last arrival", "--trace: last arrival")
	check(f, "phases.load.active 5%: vegeta", "--active 5%: vegeta")
	check(f, "finding the connections. count them", "finding the connections. count them")

	cause := &statusError{exitUsage, fmt.Errorf("connections.count 0: %w", context.Canceled)}
	err := f.reword(cause)
	var status *statusError
	if err.Error() != "-c 0: context canceled" || !errors.As(err, &status) || !errors.Is(err, context.Canceled) || f.reword(nil) != nil {
		t.Errorf("%v", err)
	}
	r := &clients.Report{}
	r.Judge(validity.Check{Name: "a", State: validity.Fail, Reason: "few", Remedy: "raise connections.count"})
	f.rewordReport(r)
	if r.Verdict != validity.Invalid || len(r.Reasons) != 1 || r.Reasons[0] != "a: few (raise -c)" || r.Checks[0].Remedy != "raise -c" {
		t.Errorf("%+v", r)
	}
}

func TestTransferCountsRepliesOfAnyStatus(t *testing.T) {
	r := &clients.Report{Planned: 900, DurationSeconds: 2, Outcomes: map[string]int64{"ok": 400, "http_error": 200, "bad_payload": 100, "timeout": 200}, BodyBytesIn: 1 << 21, BodyBytesOut: 20}
	var out bytes.Buffer
	printTransfer(&out, r)
	if got, want := out.String(), "answered   350/s, with bodies of 1.00 MiB/s in, 10 B/s out\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	out.Reset()
	printTransfer(&out, &clients.Report{DurationSeconds: 1})
	if out.Len() > 0 {
		t.Errorf("%q of a load that sent nothing", out.String())
	}
}
