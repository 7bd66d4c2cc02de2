package expect

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

const (
	// Alpha is the probability that any comparison among statements that are decided together is decided falsely.
	Alpha = 0.05
	// Rounds is the fewest on which a comparison is decided.
	Rounds = 6
)

// Verdict is what the rounds say of a statement.
type Verdict string

// The verdicts. Undecided is of what neither holds nor fails in the whole interval, and of what can't be computed.
const (
	Confirmed Verdict = "CONFIRMED"
	Refuted   Verdict = "REFUTED"
	Undecided Verdict = "UNDECIDED"
)

// Decision is what became of one expectation.
type Decision struct {
	scenarios.Expectation
	Verdict Verdict `json:"verdict"`
	// Why says what is wrong with the statement itself; empty of one that could be read.
	Why         string       `json:"why,omitempty"`
	Comparisons []Comparison `json:"comparisons"`
}

// Comparison is what the rounds say of one comparison in a statement.
type Comparison struct {
	Text    string  `json:"text"`
	Verdict Verdict `json:"verdict"`
	// Why says why it is undecided; empty of others.
	Why string `json:"why,omitempty"`
	// Left and Right are the medians over the Rounds in which both sides have a value, in Unit: ns, bytes, "/s", empty for plain
	// numbers, or one over another. Nil where no round has.
	Left  *float64 `json:"left"`
	Right *float64 `json:"right"`
	Unit  string   `json:"unit,omitempty"`
	// Ratio tells that Value, Lo and Hi are the left side by the right one, as it is where both are above zero in all
	// rounds; else they are their difference in Unit. Nil where there is none.
	Ratio bool     `json:"ratio"`
	Value *float64 `json:"value"`
	Lo    *float64 `json:"lo"`
	Hi    *float64 `json:"hi"`
	// Confidence is what the interval reaches; see inference.SignedRank.
	Confidence float64 `json:"confidence,omitempty"`
	// Rounds that have a value on both sides, of Of that were begun; Missing says of the first that has not why.
	Rounds  int    `json:"rounds"`
	Of      int    `json:"of"`
	Missing string `json:"missing,omitempty"`
}

// Check reads statements and refuses the first that can't be read, or names what the run doesn't have: what must be right
// before a run starts.
func Check(list []scenarios.Expectation, names Names) error {
	for _, e := range list {
		s, err := Parse(e.That)
		if err == nil {
			err = s.Check(names)
		}
		if err != nil {
			return fmt.Errorf("expect.%s: %w", e.Name, err)
		}
	}
	return nil
}

// Decide decides statements, in their order. Those of one claim, and those of none, are decided together: with a probability of at
// least 1 − alpha no comparison in any of them is decided falsely, by Holm's procedure. alpha is Alpha unless several runs answer one
// question. It is pure but for d, whose readings it asks for.
//
// In each round both sides are computed from that round's trials. d = ln(left ÷ right) where both are above zero in all rounds,
// left − right otherwise, has the exact interval of the signed-rank test: the paired t's, which fewer rounds could reach, was seen to
// be wrong too often where a server has two states. A comparison that the whole interval fulfils is CONFIRMED, one that none of it does REFUTED. Statements that can't
// be read or name what the run doesn't have are undecided, and say so.
func Decide(list []scenarios.Expectation, d *Data, alpha float64) []Decision {
	out := make([]Decision, len(list))
	statements := make([]*Statement, len(list))
	var all []*trialled
	families := map[string][]*trialled{}
	for i, e := range list {
		out[i] = Decision{Expectation: e, Verdict: Undecided}
		s, err := Parse(e.That)
		if err == nil {
			err = s.Check(NamesOf(d.Run, s.Variants()))
		}
		if err != nil {
			out[i].Why = err.Error()
			continue
		}
		statements[i] = s
		for _, c := range s.leaves {
			t := &trialled{comparison: c}
			all, families[e.Claim] = append(all, t), append(families[e.Claim], t)
		}
	}
	gather(all, d)
	for _, family := range families {
		holm(family, alpha)
	}
	for i, s := range statements {
		if s == nil {
			continue
		}
		own := all[:len(s.leaves)]
		all = all[len(s.leaves):]
		out[i].Verdict = s.root.verdict(own)
		for _, t := range own {
			out[i].Comparisons = append(out[i].Comparisons, t.record())
		}
	}
	return out
}

// trialled is a comparison with its values in the rounds.
type trialled struct {
	*comparison
	left, right []float64 // of the rounds that have both
	of          int
	missing     string
	d           []float64
	ratio       bool
	off         string // why nothing can be decided
	estimate    inference.Estimate
	asked       float64
	verdict     Verdict
}

// gather evaluates all comparisons round by round, so that readings of one round are in memory at a time.
func gather(all []*trialled, d *Data) {
	n := d.rounds()
	for r := 1; r <= n; r++ {
		c := &cell{data: d, round: r}
		for _, t := range all {
			left, err := t.comparison.left.eval(c)
			var right float64
			if err == nil {
				right, err = t.comparison.right.eval(c)
			}
			if err != nil {
				if t.missing == "" {
					t.missing = fmt.Sprintf("round %d: %v", r, err)
				}
				continue
			}
			t.left, t.right = append(t.left, left), append(t.right, right)
		}
		d.forget()
	}
	for _, t := range all {
		t.of = n
		t.differences()
	}
}

// differences fills in what is tested.
func (t *trialled) differences() {
	t.ratio = true
	for i := range t.left {
		t.ratio = t.ratio && t.left[i] > 0 && t.right[i] > 0
	}
	for i, l := range t.left {
		r := t.right[i]
		switch {
		case t.ratio:
			t.d = append(t.d, math.Log(l)-math.Log(r))
		case t.op == "within" && r == 0:
			t.off = fmt.Sprintf("%s is zero in a round: no share of it", t.comparison.right.text)
			return
		case t.op == "within":
			t.d = append(t.d, (l-r)/math.Abs(r))
		default:
			t.d = append(t.d, l-r)
		}
	}
	switch n := len(t.d); {
	case n < Rounds && t.missing != "":
		t.off = fmt.Sprintf("%d of %d rounds have it, want %d; %s", n, t.of, Rounds, t.missing)
	case n < Rounds:
		t.off = fmt.Sprintf("%d of the %d rounds that a verdict needs", n, Rounds)
	case !results.Placed(n, t.of):
		t.off = fmt.Sprintf("%d of %d rounds have it, want half of them; %s", n, t.of, t.missing)
	}
}

// holm decides in steps: of m comparisons the first at alpha ÷ m, and with each that is decided the others at one less.
func holm(all []*trialled, alpha float64) {
	m := 0
	for _, t := range all {
		t.verdict = Undecided
		if t.off == "" {
			m++
		}
	}
	for again := true; again && m > 0; {
		again = false
		confidence := 1 - alpha/float64(m)
		for _, t := range all {
			if t.off == "" && t.verdict == Undecided {
				t.decide(confidence)
			}
		}
		for _, t := range all {
			if t.off == "" && t.verdict != Undecided && t.asked == confidence && m > 1 {
				m--
				again = true
			}
		}
	}
}

// decide fills in the interval and what it says.
func (t *trialled) decide(confidence float64) {
	t.asked = confidence
	t.estimate = inference.SignedRank(t.d, confidence)
	e := t.estimate
	if math.IsNaN(e.Lo) || math.IsNaN(e.Hi) || e.Confidence < confidence*(1-1e-9) {
		return
	}
	var yes, no bool
	switch t.op {
	case "<":
		yes, no = e.Hi < 0, e.Lo >= 0
	case "<=":
		yes, no = e.Hi <= 0, e.Lo > 0
	case ">":
		yes, no = e.Lo > 0, e.Hi <= 0
	case ">=":
		yes, no = e.Lo >= 0, e.Hi < 0
	case "within":
		lo, hi := -math.Log1p(t.tolerance), math.Log1p(t.tolerance)
		if !t.ratio {
			lo, hi = -t.tolerance, t.tolerance
		}
		yes, no = e.Lo >= lo && e.Hi <= hi, e.Lo > hi || e.Hi < lo
	}
	switch {
	case yes:
		t.verdict = Confirmed
	case no:
		t.verdict = Refuted
	}
}

// RoundsFor is the fewest rounds on which so many comparisons can be decided at once, all at alpha: the widest interval of the
// signed-rank test misses with 2 ÷ 2ⁿ.
func RoundsFor(alpha float64, comparisons int) int {
	n := Rounds
	for n < 64 && math.Ldexp(1, 1-n) > alpha/float64(max(1, comparisons))*(1+1e-9) {
		n++
	}
	return n
}

// verdict of a statement by three-valued logic, from those of its comparisons.
func (l *logic) verdict(leaves []*trialled) Verdict {
	if l.op == "" {
		return leaves[l.leaf].verdict
	}
	first := l.kids[0].verdict(leaves)
	if l.op == "not" {
		switch first {
		case Confirmed:
			return Refuted
		case Refuted:
			return Confirmed
		}
		return Undecided
	}
	second := l.kids[1].verdict(leaves)
	decisive, other := Refuted, Confirmed // of and
	if l.op == "or" {
		decisive, other = Confirmed, Refuted
	}
	switch {
	case first == decisive || second == decisive:
		return decisive
	case first == other && second == other:
		return other
	}
	return Undecided
}

// record is the comparison for tables and files.
func (t *trialled) record() Comparison {
	c := Comparison{Text: t.text(), Verdict: t.verdict, Why: t.off, Unit: t.comparison.left.unit, Ratio: t.ratio && len(t.d) > 0, Rounds: len(t.left), Of: t.of, Missing: t.missing}
	if len(t.left) == 0 {
		return c
	}
	c.Left, c.Right = known(inference.Median(append([]float64(nil), t.left...))), known(inference.Median(append([]float64(nil), t.right...)))
	e := t.estimate
	if t.off != "" {
		if len(t.d) > 0 {
			c.Value = t.shown(inference.SignedRank(t.d, 1-Alpha).Value)
		}
		return c
	}
	c.Value, c.Lo, c.Hi, c.Confidence = t.shown(e.Value), t.shown(e.Lo), t.shown(e.Hi), e.Confidence
	if t.verdict == Undecided {
		c.Why = "the interval holds both"
		if n := RoundsFor(1-t.asked, 1); len(t.d) < n {
			c.Why = fmt.Sprintf("%d rounds, want %d for as many comparisons at once", len(t.d), n)
		}
	}
	return c
}

// shown turns what was tested into a ratio or a difference.
func (t *trialled) shown(d float64) *float64 {
	if t.ratio {
		return known(math.Exp(d))
	}
	return known(d)
}

func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
