package capacity

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/quantity"
)

// Config is what a search looks for and may spend.
type Config struct {
	Objective Objective
	// Full is the length of the trials that decide. Short is that of the others, longer where the objective needs more
	// requests than come in it.
	Full, Short time.Duration
	// Budget is the time that all trials may take, Trials how many there may be.
	Budget time.Duration
	Trials int
}

// The search's own figures.
const (
	// resolution is how near, as a ratio less one, the lowest rate that failed lies to the answer. One trial near the edge
	// varies by about as much on a shared host.
	resolution = 0.05
	// coarse is the same between rates that short trials told apart.
	coarse = 0.15
	// first is the share of the closed-loop capacity with which short trials begin: most objectives are missed a little
	// below that capacity.
	first = 0.7
	// hopeless is the share of the closed-loop capacity below which no rate is tried: what fails there fails for another
	// reason than the rate.
	hopeless = 1.0 / 512
	// saturated is the share below which the achieved rate shows a queue that grows, of the offered rate less what may be
	// unanswered at the end by the objective. No stolen slice of a CPU makes that within a second. Such a trial is not repeated.
	saturated = 0.9
	// deciding is how many trials of one rate must agree, of at most three that count.
	deciding = 2
	// limiting is how many trials of a rate, without one that counts, make it the client's limit: a host that spoils one
	// trial in ten spoils three in a row once in a thousand.
	limiting = 3
	// tries is how many trials of one rate are run at most.
	tries = 5
	// estimates is how often the closed loop is tried.
	estimates = 3
	// maxRate is the most that a plan may ask for.
	maxRate = 1e8
)

// EstimateFor is the length of the closed loop.
const EstimateFor = 2 * time.Second

// Search looks for the highest rate that meets an objective. What it does next depends on nothing but its trials:
//
//  1. a closed loop estimates the capacity C;
//  2. short trials, from 0.7·C on, up and down by growing factors and then by bisection of the logarithm, until a rate
//     that meets and one that fails are 15 % apart;
//  3. full-length trials from there on, until they are 5 % apart; each of the two is decided by two trials that agree, of at
//     most three;
//  4. one short trial at half the answer, unless some rate near it was tried: an objective that is met above a rate that
//     fails is reported.
//
// A trial that fails is repeated, unless its queue grew: a single stolen slice of a CPU must not decide. One that is
// INVALID by the client's fault decides nothing; three at a rate make that rate the client's limit. The search has one
// user at a time.
type Search struct {
	c      Config
	trials []Trial
	took   time.Duration
	ended  string // why nothing more is wanted
	edge   bool   // the answer is as narrow as it is to be
}

// NewSearch checks what is asked for.
func NewSearch(c Config) (*Search, error) {
	if least := EstimateFor + 2*c.Full; c.Budget < least {
		return nil, fmt.Errorf("budget %v: want at least %v, which is %v of closed loop and two trials of %v", c.Budget, least, EstimateFor, c.Full)
	}
	if c.Trials < 3 {
		return nil, fmt.Errorf("trials %d: want 3 or more", c.Trials)
	}
	return &Search{c: c}, nil
}

// Trials are those added so far, in order.
func (s *Search) Trials() []Trial { return s.trials }

// Add takes the result of the step that Next returned.
func (s *Search) Add(t Trial) {
	s.trials = append(s.trials, t)
	s.took += time.Duration(t.TookSeconds * float64(time.Second))
}

// Next is the trial to run now; false at the end.
func (s *Search) Next() (Step, bool) {
	if s.ended != "" {
		return Step{}, false
	}
	step, ok := s.next()
	switch {
	case !ok:
	case len(s.trials) >= s.c.Trials:
		s.ended = fmt.Sprintf("all %d trials were used (--trials)", s.c.Trials)
	case s.took+step.Length+s.overhead() > s.c.Budget:
		s.ended = fmt.Sprintf("the next trial of %v would have passed the budget of %v (--budget)", step.Length.Round(100*time.Millisecond), s.c.Budget)
	}
	return step, s.ended == ""
}

// Stop ends the search before its time, for a reason that the answer names.
func (s *Search) Stop(why string) { s.ended = why }

// next is the next step, without regard to the budget; false with ended set.
func (s *Search) next() (Step, bool) {
	if len(s.trials) == 0 {
		return Step{Kind: Closed, Length: EstimateFor}, true
	}
	ceiling, again, why := Ceiling(s.trials)
	switch {
	case again:
		return Step{Kind: Closed, Length: EstimateFor}, true
	case why != "":
		return s.end("%s", why)
	}
	if n, because := s.c.Objective.Requests(); s.floor() > 1.5*ceiling {
		return s.end("%s needs %d requests, %s a second for -d %v, and the closed loop reached %s: give -d %v or more, or ask for less",
			because, n, quantity.Format(s.floor(), quantity.Number), s.c.Full, quantity.Format(ceiling, quantity.PerSecond),
			time.Duration(math.Ceil(s.enough()/ceiling*2))*time.Second)
	}
	levels := levelsOf(s.trials, s.c.Objective.Longest())
	for i := range levels {
		if l := &levels[i]; l.last == len(s.trials)-1 && l.state() == undecided {
			return s.step(l.rate, s.trials[l.last].Kind), true
		}
	}
	if rate, more := s.coarse(levels, ceiling); more {
		return s.step(rate, Short), true
	}
	if s.ended != "" {
		return Step{}, false
	}
	return s.fine(levels)
}

// overhead is what a trial took beyond its length on average: connecting, and waiting for the last replies.
func (s *Search) overhead() time.Duration {
	var sum float64
	for i := range s.trials {
		sum += max(s.trials[i].TookSeconds-s.trials[i].Seconds, 0)
	}
	return time.Duration(sum / float64(max(len(s.trials), 1)) * float64(time.Second))
}

func (s *Search) end(format string, args ...any) (Step, bool) {
	s.ended = fmt.Sprintf(format, args...)
	return Step{}, false
}

// Ceiling is the capacity that the closed loops among some trials estimated. again asks for another one, since the last one
// says nothing; why says that there is none to be had.
func Ceiling(trials []Trial) (rps float64, again bool, why string) {
	n := 0
	for i := range trials {
		t := &trials[i]
		if t.Kind != Closed {
			continue
		}
		n++
		if t.Limit == "" && t.AchievedRPS > 0 {
			return t.AchievedRPS, false, ""
		}
		why = "no good reply in a closed loop: see that the server answers"
		if t.Limit != "" {
			why = t.Limit
		}
	}
	return 0, n < estimates, why
}

// enough is how many requests a trial is planned to have: those that the objective needs, and four standard deviations
// of a Poisson process more.
func (s *Search) enough() float64 {
	n, _ := s.c.Objective.Requests()
	return float64(n) + 4*math.Sqrt(float64(n))
}

// floor is the lowest rate at which a full-length trial has enough requests.
func (s *Search) floor() float64 { return ceilRate(s.enough() / s.c.Full.Seconds()) }

// step is a trial of a rate. A short one that would be nearly as long as a full one is one.
func (s *Search) step(rate float64, kind Kind) Step {
	length := s.c.Full
	if kind == Short {
		need := time.Duration(s.enough() / rate * float64(time.Second))
		length = max(s.c.Short, need+10*time.Millisecond-need%(10*time.Millisecond))
	}
	if length >= s.c.Full*4/5 {
		kind, length = Full, s.c.Full
	}
	return Step{Kind: kind, Rate: rate, Length: length}
}

// coarse is the next rate for short trials: false once they have brought the edge between two rates coarse apart, or half
// of the budget is spent. It ends the search where there is no lower rate to try.
func (s *Search) coarse(levels []level, ceiling float64) (float64, bool) {
	b := bracketOf(levels, allKinds)
	if b.lo != nil && (slices.ContainsFunc(levels, func(l level) bool { return l.full.n() > 0 }) || s.took > s.c.Budget/2) {
		return 0, false
	}
	low := max(s.floor(), ceiling*hopeless)
	switch {
	case b.lo == nil && b.hi == nil:
		return min(max(round(first*ceiling), low), maxRate), true
	case b.lo == nil && b.hi.rate <= low*(1+resolution/2):
		s.ended = "no lower rate can be tried"
		return 0, false
	case b.lo == nil:
		return max(round(b.hi.rate/growth(len(levels))), ceilRate(low)), true
	case b.hi == nil && b.lo.rate >= maxRate:
		return 0, false
	case b.hi == nil:
		return min(round(b.lo.rate*growth(len(levels))), maxRate), true
	}
	middle := round(math.Sqrt(b.lo.rate * b.hi.rate))
	return middle, b.hi.rate > b.lo.rate*(1+coarse) && middle > b.lo.rate && middle < b.hi.rate
}

// growth is the factor from a rate to the next one while the edge is on one side of all n rates tried.
func growth(n int) float64 { return []float64{1.25, 1.25, 1.5, 2}[min(n, 3)] }

// fine is the next full-length trial.
func (s *Search) fine(levels []level) (Step, bool) {
	b := bracketOf(levels, Full)
	low := s.floor()
	switch {
	case b.lo == nil && b.hi == nil:
		return s.step(bracketOf(levels, allKinds).lo.rate, Full), true
	case b.lo == nil:
		// The edge lies lower than short trials said: down, by 5 %, 10 %, 20 %, ….
		if b.hi.rate <= low*(1+resolution/2) {
			return s.end("no lower rate can be tried")
		}
		return s.step(max(round(b.hi.rate/(1+resolution*doubled(b.tried-1))), low), Full), true
	case b.hi == nil:
		if b.lo.rate >= maxRate {
			return s.end("no higher rate can be asked for")
		}
		return s.step(min(round(b.lo.rate*(1+resolution*doubled(b.tried-1))), maxRate), Full), true
	case b.hi.rate > b.lo.rate*(1+resolution)*1.005: // rates have three digits
		return s.step(round(math.Sqrt(b.lo.rate*b.hi.rate)), Full), true
	case b.lo.full.met < deciding:
		return s.step(b.lo.rate, Full), true
	}
	s.edge = true
	if half := max(round(b.lo.rate/2), low); half < 0.6*b.lo.rate && !slices.ContainsFunc(levels, func(l level) bool {
		return l.state() != undecided && l.rate > 0.4*b.lo.rate && l.rate < 0.6*b.lo.rate
	}) {
		return s.step(half, Short), true
	}
	return s.end("the edge was found")
}

func doubled(n int) float64 { return math.Pow(2, float64(max(n, 0))) }

// round gives a rate three significant digits, so that people can say it.
func round(rate float64) float64 { return digits(rate, math.Round) }

// ceilRate does the same, upwards.
func ceilRate(rate float64) float64 { return digits(rate*(1-1e-9), math.Ceil) }

func digits(rate float64, to func(float64) float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	return to(rate/unit) * unit
}
