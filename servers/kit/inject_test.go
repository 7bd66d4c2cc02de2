package kit_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
)

// The CPU time of a process with --inject beside one without, which are asked in turn, so that what happens on the host
// happens to both. The median of the differences must be what was injected: 10 % less at most, and three quarters more, since a busy other
// thread of the core slows a spin down (by 20 to 45 % on a virtual machine with two CPUs that are one core). On one processor, since the runtime's idle ones look for work while a request spins.
func TestInjectedSpinCostsWhatItSays(t *testing.T) {
	const (
		injected = 40 * time.Microsecond
		batch    = 50 // pipelined requests, which spin once each
		batches  = 4
		rounds   = 21
		least    = injected * 9 / 10
		most     = injected * 7 / 4
	)
	t.Setenv("GOMAXPROCS", "1")
	check := func(t *testing.T, model string, flags []string) {
		plain := startProgram(t, model, flags...)
		slow := startProgram(t, model, append([]string{"--inject", injected.String()}, flags...)...)
		ask := map[*program]func() time.Duration{}
		for _, p := range []*program{plain, slow} {
			c := p.dial()
			requests, reply := bytes.Repeat(getRequest, batch), make([]byte, 64<<10)
			ask[p] = func() time.Duration {
				before := cpuTime(t, p)
				for range batches {
					if _, err := c.Write(requests); err != nil {
						t.Fatal(err)
					}
					var s wire.ReplyState
					for done := 0; done < batch; {
						n, err := c.Read(reply)
						if err != nil {
							t.Fatal(err)
						}
						done += replies(t, &s, reply[:n])
					}
				}
				return (cpuTime(t, p) - before) / (batch * batches)
			}
			_ = ask[p]() // warms up
		}
		var more []time.Duration
		for i := range rounds {
			var a, b time.Duration
			if i%2 == 0 {
				a, b = ask[plain](), ask[slow]()
			} else {
				b, a = ask[slow](), ask[plain]()
			}
			more = append(more, b-a)
		}
		slices.Sort(more)
		if got := more[rounds/2]; got < least || got > most {
			t.Errorf("a request costs %v more, want %v to %v; all differences: %v", got, least, most, more)
		}
		if n := slow.readings()["handled"]; n != (rounds+1)*batch*batches {
			t.Errorf("%d handled, want %d", n, (rounds+1)*batch*batches)
		}
	}
	for name, flags := range programs {
		if model, _, _ := strings.Cut(name, "/"); !testing.Short() || model == "goroutine" {
			t.Run(name, func(t *testing.T) { check(t, model, flags) })
		}
	}
}

func cpuTime(t *testing.T, p *program) time.Duration {
	t.Helper()
	ns, err := procfs.CPUTime(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ns)
}

// replies feeds what came in and counts the replies that it completes.
func replies(t *testing.T, s *wire.ReplyState, b []byte) (n int) {
	t.Helper()
	for len(b) > 0 {
		used, done, err := s.Feed(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			n++
			*s = wire.ReplyState{}
		}
		b = b[used:]
	}
	return n
}

func TestInjectIsBounded(t *testing.T) {
	for _, value := range []string{"1.1ms", "-1us", "5", "much"} {
		cmd := exec.Command(build(t, "goroutine"), "serve", "--inject", value)
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), `--inject "`+value+`": want CPU time a request from 0s to 1ms`) {
			t.Errorf("--inject %s: %v: %s", value, err, out)
		}
	}
}
