package explained

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/millrace/millrace/analysis/mechanism"
	"github.com/millrace/millrace/internal/quantity"
)

// clause says of one row how the variants differ in it. In words the %s are the two figures, the second variant's first, and
// X stands for the first variant. Differences of figures below least are not worth a clause.
type clause struct {
	key, words string
	least      float64
}

// clauses are the rows of which a sentence may speak. The first alwaysSaid come first, if the figures support them.
var clauses = []clause{
	{"cpu", "spends %s of CPU time a request where X spends %s", 100},
	{"syscalls", "makes %s system calls a request where X makes %s", 0.05},
	{"wakeups", "is woken %s times a request where X is %s times", 0.01},
	{"requests-per-epoll-wait", "answers %s requests an epoll_wait where X answers %s", 0.1},
	{"alloc-bytes", "allocates %s a request where X allocates %s", 8},
	{"involuntary", "is switched off %s times a request where X is %s times", 0.01},
	{"gc-share", "spends %s of its CPU time on garbage where X spends %s", 0.01},
	{"segments", "exchanges %s TCP segments a request where X exchanges %s", 0.1},
	{"goroutines", "has up to %s goroutines where X has %s", 20},
}

// How many clauses come first, the most clauses of a sentence, and the least ratio to 1 that one trial supports.
const (
	alwaysSaid    = 2
	mostClauses   = 4
	oneTrialRatio = 1.10
)

// supported tells whether the figures say which variant has more: the interval of the ratio over the run's rounds does not hold
// 1, or single trials differ by more than such trials do anyway. Rounds too few for an interval support nothing.
func supported(r mechanism.Row, least float64) bool {
	a, b := r.Values[0], r.Values[1]
	switch {
	case a.N == 0 || b.N == 0 || max(a.Median, b.Median) < least:
		return false
	case r.Source != mechanism.OwnTrial:
		return r.Ratio.Confidence > 0 && (r.Ratio.Lo > 1 || r.Ratio.Hi < 1)
	}
	return apart(r, least) > math.Log(oneTrialRatio)
}

// apart is how far the medians are apart, as a logarithm; what is below least counts as least.
func apart(r mechanism.Row, least float64) float64 {
	return math.Abs(math.Log(max(r.Values[1].Median, least) / max(r.Values[0].Median, least)))
}

// allSentences are at most three: how the variants did, what a request costs them, and where the CPU time differs.
func allSentences(x *mechanism.Explanation) []string {
	row := func(key string) *mechanism.Row {
		if i := slices.IndexFunc(x.Rows, func(r mechanism.Row) bool { return r.Key == key }); i >= 0 {
			return &x.Rows[i]
		}
		return nil
	}
	var did []string
	for _, h := range []struct{ key, name string }{{"p99", "p99"}, {"goodput", "goodput"}, {"achieved", "the rate of good replies"}} {
		if r := row(h.key); r != nil && r.Ratio.Confidence > 0 {
			did = append(did, direction(h.name, *r))
		}
	}
	var sentences []string
	if len(did) > 0 {
		sentences = append(sentences, fmt.Sprintf("Against %s, %s has %s.", x.Variants[0], x.Variants[1], strings.Join(did, ", and ")))
	}
	if s := whySentence(x, row); s != "" {
		sentences = append(sentences, s)
	}
	if s := areaSentence(x.CPU); s != "" {
		sentences = append(sentences, s)
	}
	return sentences
}

// direction says which way a headline went, by the interval of its ratio.
func direction(name string, r mechanism.Row) string {
	from, to := figureText(r.Values[0].Median, r.Unit), figureText(r.Values[1].Median, r.Unit)
	switch {
	case r.Ratio.Lo <= 1 && r.Ratio.Hi >= 1:
		return fmt.Sprintf("no supported difference of %s (%s, %s)", name, from, to)
	case r.Ratio.Median < 1:
		return fmt.Sprintf("%s down %s (%s to %s)", name, quantity.Share(1-r.Ratio.Median), from, to)
	}
	return fmt.Sprintf("%s up %s (%s to %s)", name, quantity.Share(r.Ratio.Median-1), from, to)
}

// whySentence speaks of CPU time and of what else differs most.
func whySentence(x *mechanism.Explanation, row func(string) *mechanism.Row) string {
	var list []clause
	for _, c := range clauses {
		if r := row(c.key); r != nil && supported(*r, c.least) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b clause) int {
		i, j := slices.Index(clauses, a), slices.Index(clauses, b)
		if i < alwaysSaid || j < alwaysSaid {
			return cmp.Compare(i, j)
		}
		return cmp.Compare(apart(*row(b.key), b.least), apart(*row(a.key), a.least))
	})
	var said []string
	for _, c := range list[:min(len(list), mostClauses)] {
		r := row(c.key)
		words := strings.Replace(c.words, "X", x.Variants[0], 1)
		said = append(said, fmt.Sprintf(words, figureText(r.Values[1].Median, r.Unit), figureText(r.Values[0].Median, r.Unit)))
	}
	if len(said) == 0 {
		return "None of the figures below supports a difference."
	}
	return x.Variants[1] + " " + strings.Join(said, "; it ") + "."
}

// areaSentence names the two areas in which CPU time differs most, where samples support it and single trials do.
func areaSentence(d *mechanism.Difference) string {
	if d == nil {
		return ""
	}
	list := slices.DeleteFunc(slices.Clone(d.Areas), func(f mechanism.Function) bool {
		return f.Unclear || max(f.Flat[0], f.Flat[1]) <= oneTrialRatio*min(f.Flat[0], f.Flat[1])
	})
	slices.SortFunc(list, func(a, b mechanism.Function) int {
		return cmp.Compare(math.Abs(b.Flat[1]-b.Flat[0]), math.Abs(a.Flat[1]-a.Flat[0]))
	})
	var said []string
	for _, f := range list[:min(len(list), 2)] {
		said = append(said, fmt.Sprintf("%s in %s", signed(f.Flat[1]-f.Flat[0], quantity.Time), f.Name))
	}
	if len(said) == 0 {
		return ""
	}
	return fmt.Sprintf("By the profiles, CPU time a request differs by %s: most of it %s.", signed(d.Total[1]-d.Total[0], quantity.Time), strings.Join(said, ", "))
}
