// Command downstream is the slow dependency of a service, as a process: it answers frames (tcp) or HTTP requests after
// latencies that are drawn with a seed, and at scripted times it is slower, stalls or refuses. PUT takes a body and answers as
// an S3-compatible store does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/servers/kit"
)

func main() {
	var protocol, latency string
	var spans []span
	var seed uint64
	var s *server
	c := kit.Companion{
		Name: "downstream",
		Flags: func(fs *flag.FlagSet) {
			kit.Choice(fs, &protocol, "protocol", "tcp (frames, echoed) or http (GET, and PUT as S3)", "tcp", "http")
			fs.StringVar(&latency, "latency", "constant=5ms", "how long a reply takes: "+latencies)
			fs.Uint64Var(&seed, "seed", 1, "of the latencies: request n of one seed always gets the same draw")
			fs.Func("window", "FROM,TO,LATENCY after T0, such as 2s,4s,stall; may be given several times", func(text string) error {
				w, err := parseSpan(text)
				spans = append(spans, w)
				return err
			})
		},
		Start: func(env *kit.Env) (kit.Server, error) {
			play, err := newScript(latency, seed, spans)
			if err != nil {
				return nil, kit.UsageError(err)
			}
			s, err = start(env, protocol == "http", play)
			return s, err
		},
		Readings: func(b []byte) []byte { return s.readings(b) },
		Commands: map[string]func([]byte) error{"start": func(line []byte) error { return s.begin(line) }},
	}
	c.Main()
}

// begin takes T0, from which the windows count: until then there are none.
func (s *server) begin(line []byte) error {
	var r struct {
		T0Ns int64 `json:"t0_ns"`
	}
	if err := json.Unmarshal(line, &r); err != nil || r.T0Ns <= 0 {
		return fmt.Errorf("starting the clock: t0_ns %d: want a time of CLOCK_MONOTONIC in ns", r.T0Ns)
	}
	if !s.t0.CompareAndSwap(0, r.T0Ns) {
		return fmt.Errorf("starting the clock: it runs since t0_ns %d: want one start", s.t0.Load())
	}
	s.wakeUp()
	return nil
}

// readings appends what became of the requests. received = answered + in_flight + refused + lost: refused are those that a
// window's resets took, lost those whose client went away before the reply was handed on. late are replies that went out over 1 ms
// after they were due, or whose request was there for longer than that before it was read: this program's own fault.
func (s *server) readings(b []byte) []byte {
	answered, refused, lost := s.env.Counters.Handled.Load(), s.refused.Load(), s.lost.Load()
	received := s.received.Load() // last, so that none are in flight by a negative number
	b = kit.Member(b, "received", received)
	b = kit.Member(b, "answered", answered)
	b = kit.Member(b, "in_flight", received-answered-refused-lost)
	b = kit.Member(b, "refused_requests", refused)
	b = kit.Member(b, "lost", lost)
	b = kit.Member(b, "resets", s.resets.Load())
	b = kit.Member(b, "late", s.late.Load())
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		b = kit.Member(b, "cpu_ns", u.Utime.Nano()+u.Stime.Nano())
	}
	return b
}
