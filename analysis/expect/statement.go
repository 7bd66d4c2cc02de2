// Package expect decides statements about the results of a run, such as `p99(gnet, recovery) < 1.1 * p99(gnet, baseline)`: on the
// rounds, with intervals, so that the answer can be that nothing is decided. The grammar is that of github.com/expr-lang/expr,
// of which little is taken: numbers with units, arithmetic, comparisons, and, or, not, and the closed table Functions. A
// statement has no loops and no variables, so that deciding it ends.
package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

const (
	// maxText is the longest statement, in bytes, and maxComparisons how many comparisons it may hold.
	maxText        = 4096
	maxComparisons = 16
	// maxDepth bounds how deep expressions may nest.
	maxDepth = 64
)

// Statement is a statement that has been read. It is not changed by use, and may be used by any number of goroutines.
type Statement struct {
	text   string
	root   *logic
	leaves []*comparison
	refs   []reference
}

// Names are what statements may speak of in a run.
type Names struct {
	// Variants of the run, its Phases as they run, and the names of its sweep's Steps.
	Variants, Phases, Steps []string
	// Absent are variants or models that could run and do not: a statement about them stays undecided, and is no error.
	Absent []string
}

// Parse reads a statement. Errors name the place and what is known; whether its names are those of a run says Check.
func Parse(text string) (*Statement, error) {
	wrap := func(err error) error {
		return fmt.Errorf("statement %q: %w", shortened(text), err)
	}
	if len(text) > maxText {
		return nil, wrap(fmt.Errorf("%d bytes: want at most %d", len(text), maxText))
	}
	tree, err := parser.Parse(literals(text))
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			err = errors.New(at.Message)
		}
		return nil, wrap(err)
	}
	c := &compiler{}
	root, err := c.statement(tree.Node, 0)
	switch {
	case err != nil:
		return nil, wrap(err)
	case len(c.leaves) > maxComparisons:
		return nil, wrap(fmt.Errorf("%d comparisons: want at most %d", len(c.leaves), maxComparisons))
	}
	return &Statement{text: text, root: root, leaves: c.leaves, refs: c.refs}, nil
}

func shortened(text string) string {
	if r := []rune(text); len(r) > 80 {
		return string(r[:77]) + "..."
	}
	return text
}

// Text is the statement as it was written.
func (s *Statement) Text() string { return s.text }

// Comparisons is how many comparisons the statement holds.
func (s *Statement) Comparisons() int { return len(s.leaves) }

// Variants are the variants that the statement speaks of, each once, in the order in which they first come.
func (s *Statement) Variants() []string {
	var list []string
	for _, r := range s.refs {
		if !slices.Contains(list, r.variant) {
			list = append(list, r.variant)
		}
	}
	return list
}

// Check refuses names that a run doesn't have. A variant that is Absent is not refused.
func (s *Statement) Check(n Names) error {
	for _, r := range s.refs {
		if err := r.check(n); err != nil {
			return fmt.Errorf("statement %q: %w", shortened(s.text), err)
		}
	}
	return nil
}

// reference is one call of a function, by the names in it.
type reference struct {
	text, variant, phase, step string
	everyStep                  bool
}

func (r reference) check(n Names) error {
	model, _, _ := strings.Cut(r.variant, "/")
	absent := slices.Contains(n.Absent, r.variant) || slices.Contains(n.Absent, model)
	switch {
	case !slices.Contains(n.Variants, r.variant) && !absent:
		return fmt.Errorf("%s: no variant %q: want one of %s", r.text, r.variant, strings.Join(n.Variants, ", "))
	case r.phase != "" && !slices.Contains(n.Phases, r.phase):
		return fmt.Errorf("%s: no phase %q: want one of %s", r.text, r.phase, strings.Join(n.Phases, ", "))
	case r.step != "" && !slices.Contains(n.Steps, r.step):
		return fmt.Errorf("%s: no step %q of the sweep: want one of %s", r.text, r.step, orNone(n.Steps))
	case r.everyStep && len(n.Steps) == 0:
		return fmt.Errorf("%s: slope(…) and upto(…) run over the steps of a sweep, and nothing is swept: want a sweep, or neither", r.text)
	case r.step == "" && !r.everyStep && len(n.Steps) > 0:
		return fmt.Errorf("%s: the run is swept: say at which step, at(%q, %s)", r.text, n.Steps[0], r.text)
	}
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none, since nothing is swept"
	}
	return strings.Join(list, ", ")
}

// compiler turns the tree of a statement into what can be evaluated.
type compiler struct {
	leaves []*comparison
	refs   []reference
	step   string
	every  bool
}

// logic is a statement made of statements.
type logic struct {
	op   string // and, or, not; empty of a comparison
	kids []*logic
	leaf int
}

// comparison is one comparison of two expressions.
type comparison struct {
	op          string // <, <=, >, >= or within
	left, right term
	tolerance   float64 // of within: 0.05 for 5%
}

func (c *comparison) text() string {
	if c.op == "within" {
		return fmt.Sprintf("within(%s, %s, %g%%)", c.left.text, c.right.text, 100*c.tolerance)
	}
	return c.left.text + " " + c.op + " " + c.right.text
}

var comparisons = []string{"<", "<=", ">", ">="}

// errNoStatement is what is said of an expression that is none.
var errNoStatement = fmt.Errorf("want a comparison by %s or within(a, b, 5%%), or several joined by and, or, not", strings.Join(comparisons, " "))

func (c *compiler) statement(node ast.Node, depth int) (*logic, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch n := node.(type) {
	case *ast.UnaryNode:
		if n.Operator != "not" && n.Operator != "!" {
			return nil, errNoStatement
		}
		return c.joined("not", depth, n.Node)
	case *ast.BinaryNode:
		switch {
		case n.Operator == "and" || n.Operator == "&&":
			return c.joined("and", depth, n.Left, n.Right)
		case n.Operator == "or" || n.Operator == "||":
			return c.joined("or", depth, n.Left, n.Right)
		case slices.Contains(comparisons, n.Operator):
			return c.compare(&comparison{op: n.Operator}, n.Left, n.Right)
		}
	case *ast.CallNode:
		if name, args := called(n); name == "within" {
			if len(args) != 3 {
				return nil, fmt.Errorf("within: %d arguments: want within(a, b, 5%%)", len(args))
			}
			t, err := c.term(args[2], depth+1)
			if err != nil {
				return nil, err
			}
			if t.literal == nil || t.unit != number || !(*t.literal > 0 && *t.literal <= 10) {
				return nil, fmt.Errorf("within: tolerance %s: want a share above 0%% to 1000%%", t.text)
			}
			return c.compare(&comparison{op: "within", tolerance: *t.literal}, args[0], args[1])
		}
	}
	return nil, errNoStatement
}

func (c *compiler) joined(op string, depth int, nodes ...ast.Node) (*logic, error) {
	l := &logic{op: op}
	for _, n := range nodes {
		kid, err := c.statement(n, depth+1)
		if err != nil {
			return nil, err
		}
		l.kids = append(l.kids, kid)
	}
	return l, nil
}

func (c *compiler) compare(leaf *comparison, left, right ast.Node) (*logic, error) {
	var err error
	if leaf.left, err = c.term(left, 0); err != nil {
		return nil, err
	}
	if leaf.right, err = c.term(right, 0); err != nil {
		return nil, err
	}
	if a, b := leaf.left, leaf.right; a.unit != b.unit {
		return nil, fmt.Errorf("%s: %s compared with %s: want the same unit on both sides, such as 5ms, 2MiB or 10k/s", leaf.text(), unitWords(a.unit), unitWords(b.unit))
	}
	if leaf.left.literal != nil && leaf.right.literal != nil {
		return nil, fmt.Errorf("%s: nothing measured stands in it", leaf.text())
	}
	c.leaves = append(c.leaves, leaf)
	return &logic{leaf: len(c.leaves) - 1}, nil
}
