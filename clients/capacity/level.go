package capacity

import (
	"slices"
	"time"
)

// state is what the trials of one rate say.
type state int

const (
	undecided state = iota
	met
	failed
	limited // the client could not offer the rate
)

// tally counts the trials of one rate and one length.
type tally struct {
	met, failed, limited int
	// clear is that one failed with its queue growing.
	clear bool
}

func (t tally) n() int { return t.met + t.failed + t.limited }

// state is undecided where another trial is to be run: after one that failed without a growing queue, after one that does
// not count, and while those that count disagree evenly.
func (t tally) state() state {
	switch {
	case t.met > t.failed:
		return met
	case t.failed >= deciding && t.failed > t.met, t.clear && t.met == 0:
		return failed
	case t.limited >= limiting && t.met+t.failed == 0:
		return limited
	case t.n() < tries:
		return undecided
	case t.limited > t.met+t.failed:
		return limited
	}
	return failed
}

// level is a rate that was tried.
type level struct {
	rate        float64
	short, full tally
	last        int // index of its last trial
}

// state is that of the full-length trials where there are any that count.
func (l *level) state() state {
	if l.full.n() > 0 {
		return l.full.state()
	}
	return l.short.state()
}

// founded reports whether the level's state stands without a longer trial: a queue that grew, and a client that was the limit,
// get no better with length.
func (l *level) founded() bool { return l.full.n() > 0 || l.short.clear || l.state() == limited }

// levelsOf sorts the trials by their rates, lowest first. longest is the longest response that the objective allows, see
// Objective.Longest: at the end of a trial so much of it may be unanswered without a growing queue.
func levelsOf(trials []Trial, longest time.Duration) []level {
	var out []level
	for i := range trials {
		t := &trials[i]
		if t.Kind == Closed {
			continue
		}
		at, found := slices.BinarySearchFunc(out, t.offered(), func(l level, rate float64) int {
			switch {
			case l.rate < rate:
				return -1
			case l.rate > rate:
				return 1
			}
			return 0
		})
		if !found {
			out = slices.Insert(out, at, level{rate: t.offered()})
		}
		l := &out[at]
		l.last = i
		n := &l.short
		if t.Kind == Full {
			n = &l.full
		}
		switch {
		case t.Met == nil:
			n.limited++
		case *t.Met:
			n.met++
		default:
			n.failed++
			answered := 1 - longest.Seconds()/max(t.Seconds, 1e-9)
			n.clear = n.clear || t.AchievedRPS < saturated*answered*t.PlannedRPS()
		}
	}
	return out
}

// allKinds is every kind of trial.
const allKinds Kind = ""

// bracket is the edge between two rates: lo is the highest that met the objective, hi the lowest above it that did not, or
// that the client could not offer. Either may be nil.
type bracket struct {
	lo, hi *level
	tried  int // how many rates were decided
}

// bracketOf is the bracket that trials of a kind support. For full-length ones a rate above the edge counts as well whose short
// trials are founded.
func bracketOf(levels []level, kind Kind) bracket {
	var b bracket
	for i := range levels {
		l := &levels[i]
		if kind == Full && l.full.n() == 0 {
			continue
		}
		if st := l.state(); st != undecided {
			b.tried++
			if st == met {
				b.lo = l
			}
		}
	}
	for i := range levels {
		l := &levels[i]
		st := l.state()
		if b.lo != nil && l.rate <= b.lo.rate || st != failed && st != limited {
			continue
		}
		if kind == Full && (!l.founded() || l.full.n() == 0 && b.lo == nil) {
			continue
		}
		b.hi = l
		break
	}
	return b
}
