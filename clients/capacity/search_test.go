package capacity

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// seeds is how many noisy hosts every server is searched on.
const seeds = 200

func config(t *testing.T, objective string) Config {
	t.Helper()
	o, err := ParseObjective(objective)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Objective: o, Full: 10 * time.Second, Short: time.Second, Budget: 4 * time.Minute, Trials: 40}
}

type at = struct{ to, p99 float64 }

// TestSearchFinds holds the search against servers whose edge is known. Of 200 seeded hosts at least `share` must get an
// answer in [low, high] times the edge, within so many trials. The resolution is 5 %, so that 0.95 of the edge is as good an
// answer as can be asked for without noise.
func TestSearchFinds(t *testing.T) {
	noisy := func(s server) server { s.noise, s.stolen = 0.1, 0.15; return s }
	edge := 10_000 - math.Log(100)/0.005 // of M/M/1: −ln(0.01) ÷ (mu − λ) = 5 ms
	for _, c := range []struct {
		name      string
		server    server
		edge      float64
		low, high float64
		share     float64
		trials    int
	}{
		{"M/M/1", server{curve: mm1(10_000), capacity: 10_000}, edge, 0.95, 1, 1, 25},
		{"M/M/1 on a noisy host", noisy(server{curve: mm1(10_000), capacity: 10_000}), edge, 0.93, 1.02, 0.98, 35},
		{"cliff", server{curve: steps(at{8000, 0.001}), capacity: 8000}, 8000, 0.95, 1, 1, 25},
		{"cliff on a noisy host", noisy(server{curve: steps(at{8000, 0.001}), capacity: 8000}), 8000, 0.95, 1, 0.98, 35},
		{"steps", noisy(server{curve: steps(at{3000, 0.0005}, at{6000, 0.003}, at{9000, 0.02}), capacity: 9000}), 6000, 0.95, 1, 0.98, 35},
		{"far below the capacity", noisy(server{curve: steps(at{1500, 0.001}, at{50_000, 0.02}), capacity: 50_000}), 1500, 0.94, 1, 0.98, 35},
		{"open loop beats closed", noisy(server{curve: mm1(30_000), capacity: 0}), 30_000 - math.Log(100)/0.005, 0.93, 1.02, 0.98, 35},
		{"INVALID now and then", server{curve: mm1(10_000), capacity: 10_000, noise: 0.1, void: 0.1}, edge, 0.93, 1.02, 0.95, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			good, most := 0, 0
			var worst string
			for seed := range uint64(seeds) {
				s, a, err := search(config(t, "p99<5ms"), &c.server, seed)
				if err != nil {
					t.Fatal(err)
				}
				most = max(most, len(s.Trials()))
				if a.Outcome == Found && *a.RateRPS >= c.low*c.edge && *a.RateRPS <= c.high*c.edge && wellFounded(s, a) {
					good++
				} else {
					worst = fmt.Sprintf("seed %d: %s", seed, a.Text)
				}
			}
			t.Logf("%d of %d within %.2f to %.2f of %.0f/s, %d trials at most", good, seeds, c.low, c.high, c.edge, most)
			if float64(good) < c.share*seeds || most > c.trials {
				t.Errorf("want %.0f %% and at most %d trials; such as %s", 100*c.share, c.trials, worst)
			}
		})
	}
}

// wellFounded says whether the answer has two full-length trials that met the objective, and above it a rate that failed as
// often, or with its queue growing.
func wellFounded(s *Search, a Answer) bool {
	missed := 0
	for _, t := range s.Trials() {
		if t.OfferedRPS != nil && *t.OfferedRPS == *a.FailedRPS && t.Met != nil && !*t.Met {
			switch {
			case t.AchievedRPS < saturated*t.PlannedRPS(): // of any length
				missed += 2
			case t.Kind == Full:
				missed++
			}
		}
	}
	return a.Met >= 2 && a.Met > a.Trials/2 && missed >= 2 && *a.FailedRPS > *a.RateRPS
}

// TestSearchSaysWhatItCannot holds the answers that are no edge.
func TestSearchSaysWhatItCannot(t *testing.T) {
	hump := func(rate float64) (float64, float64) {
		if rate < 5000 {
			return 0.002, 0.009
		}
		return mm1(10_000)(rate)
	}
	for _, c := range []struct {
		name, objective string
		server          server
		outcome         Outcome
		text            []string
	}{
		{"always met, the client is the limit", "p99<5ms", server{curve: steps(at{1e9, 0.001}), limit: 80_000}, ClientBound,
			[]string{"≥ ", "the client was the limit at", "give the client more CPUs"}},
		{"the client is the limit below the edge", "p99<5ms", server{curve: mm1(10_000), capacity: 10_000, limit: 6000, noise: 0.1}, ClientBound,
			[]string{"the client was the limit at"}},
		{"never a trial that counts", "p99<5ms", server{curve: mm1(10_000), capacity: 10_000, void: 1}, Unknown, []string{"unknown", "generator CPU"}},
		{"never met", "p99<5ms", server{curve: steps(at{1e9, 0.008}), capacity: 10_000}, NoRate, []string{"no rate met p99<5ms", "had p99 8.00 ms", "no lower rate can be tried"}},
		{"not monotone", "p99<5ms", server{curve: hump, capacity: 10_000}, Found, []string{"not monotone", "p99 9.00 ms"}},
		{"more requests than come", "p99.9<5ms", server{curve: mm1(1000), capacity: 1000}, Unknown, []string{"p99.9 needs 100000 requests", "or more, or ask for less"}},
		{"a server that answers nothing", "p50<5ms", server{capacity: 1e-9}, Unknown, []string{"p50 needs"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(20) {
				s, a, err := search(config(t, c.objective), &c.server, seed)
				if err != nil {
					t.Fatal(err)
				}
				if a.Outcome != c.outcome {
					t.Fatalf("seed %d: %s: %s", seed, a.Outcome, a.Text)
				}
				for _, want := range c.text {
					if !strings.Contains(a.Text, want) {
						t.Fatalf("seed %d: %q does not say %q", seed, a.Text, want)
					}
				}
				if len(s.Trials()) > 40 {
					t.Fatalf("seed %d: %d trials", seed, len(s.Trials()))
				}
				if c.outcome == ClientBound && (*a.RateRPS > c.server.limit || *a.RateRPS < 0.94*c.server.limit) {
					t.Fatalf("seed %d: %s: want the client's limit of %.0f/s less 5 %%", seed, a.Text, c.server.limit)
				}
			}
		})
	}
}

// TestSearchStaysWithinItsMeans looks at every step of searches on hosts so noisy that nothing is to be found.
func TestSearchStaysWithinItsMeans(t *testing.T) {
	wild := server{curve: mm1(10_000), capacity: 10_000, noise: 2, stolen: 3, void: 0.4}
	for seed := range uint64(seeds) {
		c := config(t, []string{"p99<5ms", "p99<5ms,ok>99.9%", "p50<200us", "p99.9<20ms"}[seed%4])
		c.Budget = time.Duration(25+seed) * time.Second
		c.Trials = 3 + int(seed)%40
		s, a, err := search(c, &wild, seed)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := c.Objective.Requests()
		var took float64
		for i, tr := range s.Trials() {
			took += tr.TookSeconds
			if tr.Kind == Closed {
				continue
			}
			if tr.Planned < n || tr.Seconds > c.Full.Seconds() || tr.Kind == Full && tr.Seconds != c.Full.Seconds() {
				t.Errorf("seed %d, trial %d of %.4g/s: %d requests in %v s, want at least %d in at most %v", seed, i, *tr.OfferedRPS, tr.Planned, tr.Seconds, n, c.Full)
			}
			if tr.Limit != "" && tr.Met != nil {
				t.Errorf("seed %d, trial %d is INVALID and counts", seed, i)
			}
		}
		if len(s.Trials()) > c.Trials || took > c.Budget.Seconds()+0.2 {
			t.Errorf("seed %d: %d trials in %.1f s, want at most %d in %v", seed, len(s.Trials()), took, c.Trials, c.Budget)
		}
		if a.Ended == "" || a.Text == "" {
			t.Errorf("seed %d: an answer without words: %+v", seed, a)
		}
	}
}

// TestAnswerAtAnyTime asks after every trial, as Ctrl-C does.
func TestAnswerAtAnyTime(t *testing.T) {
	host := server{curve: mm1(10_000), capacity: 10_000, noise: 0.1}
	whole, _, err := search(config(t, "p99<5ms"), &host, 1)
	if err != nil {
		t.Fatal(err)
	}
	part, err := NewSearch(config(t, "p99<5ms"))
	if err != nil {
		t.Fatal(err)
	}
	rank := map[Outcome]int{Unknown: 0, NoRate: 1, ShortOnly: 2, AtLeast: 3, Found: 4}
	best := 0
	for i, tr := range whole.Trials() {
		a := part.Answer()
		if rank[a.Outcome] < best && a.Outcome != NoRate {
			t.Errorf("after %d trials the answer is %q, and it was better", i, a.Text)
		}
		best = max(best, rank[a.Outcome])
		if a.Outcome != Found && !strings.Contains(a.Text, "the search goes on") {
			t.Errorf("after %d trials: %q does not say that the search is not over", i, a.Text)
		}
		if _, more := part.Next(); !more {
			t.Fatalf("ended after %d trials of %d", i, len(whole.Trials()))
		}
		part.Add(tr)
	}
	if best < 3 {
		t.Errorf("no answer before the end")
	}
}

// TestOneStolenSliceDoesNotDecide spoils each trial of a quiet search in turn: the answer stays where it was. The slow server
// owes the requests of the last 150 ms at the end of a trial, which is no queue that grows.
func TestOneStolenSliceDoesNotDecide(t *testing.T) {
	for _, x := range []struct {
		objective  string
		host       server
		owes, late float64 // seconds
	}{
		{"p99<5ms", server{curve: steps(at{8000, 0.001}, at{20_000, 0.006}), capacity: 20_000}, 0, 0.03},
		{"p99<200ms", server{curve: steps(at{8000, 0.15}, at{20_000, 0.21}), capacity: 20_000}, 0.15, 0.23},
	} {
		one := func(spoilt int) Answer {
			rng := newRand(3)
			c := config(t, x.objective)
			s, err := NewSearch(c)
			if err != nil {
				t.Fatal(err)
			}
			for n := 0; ; n++ {
				step, more := s.Next()
				if !more {
					return s.Answer()
				}
				m := x.host.run(step, rng)
				m.AchievedRPS *= 1 - x.owes/m.Seconds
				if n == spoilt && step.Kind != Closed {
					slow := int64(x.late * 1e9)
					m.ResponseNs.P99 = &slow
				}
				s.Add(NewTrial(step, m, step.Length, &c.Objective))
			}
		}
		quiet := one(-1)
		for spoilt := 1; spoilt < 20; spoilt++ {
			if a := one(spoilt); a.Outcome != Found || math.Abs(*a.RateRPS / *quiet.RateRPS - 1) > resolution || *a.RateRPS > 8000 {
				t.Errorf("%s, trial %d spoilt: %s; without: %s", x.objective, spoilt, a.Text, quiet.Text)
			}
		}
	}
}

func TestSearchRefuses(t *testing.T) {
	for budget, want := range map[time.Duration]string{10 * time.Second: "budget 10s: want at least 22s", time.Minute: "trials 2: want 3 or more"} {
		c := config(t, "p99<5ms")
		c.Budget, c.Trials = budget, 2
		if _, err := NewSearch(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
}
