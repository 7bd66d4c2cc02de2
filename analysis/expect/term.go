package expect

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/millrace/millrace/analysis/inference"
)

// Units of terms. Counts and shares are plain numbers.
const (
	number      = ""
	nanoseconds = "ns"
	bytes       = "bytes"
	perSecond   = "/s"
)

// unitWords names a unit for messages.
func unitWords(unit string) string {
	switch unit {
	case number:
		return "a plain number"
	case nanoseconds:
		return "a time (ns)"
	case perSecond:
		return "a rate (/s)"
	}
	return unit
}

// term is an expression with a number for a value.
type term struct {
	text, unit string
	// literal is the value of a term in which nothing measured stands; nil of others.
	literal *float64
	// compound is true of what has an operator at its top.
	compound bool
	// eval returns the value in one round; the error says what is missing.
	eval func(c *cell) (float64, error)
}

func constant(text string, v float64, unit string) term {
	return term{text: text, unit: unit, literal: &v, eval: func(*cell) (float64, error) { return v, nil }}
}

var errDivision = errors.New("a division by zero")

// term compiles an expression that is a number.
func (c *compiler) term(node ast.Node, depth int) (term, error) {
	if depth > maxDepth {
		return term{}, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch n := node.(type) {
	case *ast.IntegerNode:
		return constant(strconv.Itoa(n.Value), float64(n.Value), number), nil
	case *ast.FloatNode:
		return constant(strconv.FormatFloat(n.Value, 'g', -1, 64), n.Value, number), nil
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return term{}, fmt.Errorf("%s binds to what follows at once: want %s (…) around the whole comparison", n.Operator, n.Operator)
		}
		if n.Operator == "-" {
			t, err := c.term(n.Node, depth+1)
			if err != nil {
				return t, err
			}
			return negative(t), nil
		}
	case *ast.BinaryNode:
		if strings.Contains("+-*/", n.Operator) {
			return c.arithmetic(n, depth)
		}
		return term{}, fmt.Errorf("operator %s: want one of + - * /", n.Operator)
	case *ast.CallNode, *ast.BuiltinNode:
		name, args := called(n)
		return c.call(name, args, depth)
	case *ast.IdentifierNode:
		return term{}, fmt.Errorf("%q is no number: want a function of it, such as p99(%s)", n.Value, n.Value)
	}
	return term{}, fmt.Errorf("%s: want numbers, + - * / and the functions %s", shortened(node.String()), functionNames())
}

// called is the name and the arguments of a call; the name is empty where no word is called.
func called(node ast.Node) (name string, args []ast.Node) {
	switch n := node.(type) {
	case *ast.BuiltinNode:
		return n.Name, n.Arguments
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok {
			return id.Value, n.Arguments
		}
	}
	return "", nil
}

func negative(t term) term {
	if t.literal != nil {
		return constant("-"+t.text, -*t.literal, t.unit)
	}
	return term{text: "-" + bracketed(t), unit: t.unit, eval: func(c *cell) (float64, error) {
		v, err := t.eval(c)
		return -v, err
	}}
}

func (c *compiler) arithmetic(n *ast.BinaryNode, depth int) (term, error) {
	a, err := c.term(n.Left, depth+1)
	if err != nil {
		return a, err
	}
	b, err := c.term(n.Right, depth+1)
	if err != nil {
		return b, err
	}
	left, right := a.text, b.text
	if n.Operator == "*" || n.Operator == "/" {
		left = bracketed(a)
	}
	if n.Operator != "+" {
		right = bracketed(b)
	}
	t := term{text: left + " " + n.Operator + " " + right, compound: true}
	if t.unit, err = unitOf(n.Operator, a, b); err != nil {
		return t, fmt.Errorf("%s: %w", t.text, err)
	}
	op := n.Operator
	t.eval = func(c *cell) (float64, error) {
		x, err := a.eval(c)
		if err != nil {
			return 0, err
		}
		y, err := b.eval(c)
		if err != nil {
			return 0, err
		}
		return finite(apply(op, x, y))
	}
	if a.literal != nil && b.literal != nil {
		v, err := t.eval(nil)
		if err != nil {
			return t, fmt.Errorf("%s: %w", t.text, err)
		}
		t.literal = &v
	}
	return t, nil
}

func bracketed(t term) string {
	if t.compound {
		return "(" + t.text + ")"
	}
	return t.text
}

func apply(op string, x, y float64) (float64, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	}
	if y == 0 {
		return 0, errDivision
	}
	return x / y, nil
}

func finite(v float64, err error) (float64, error) {
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		return 0, errors.New("a value that is not finite")
	}
	return v, err
}

// unitOf is the unit of a ∘ b.
func unitOf(op string, a, b term) (string, error) {
	switch {
	case op == "+" || op == "-":
		if a.unit != b.unit {
			return "", fmt.Errorf("%s and %s: want the same unit, such as 5ms, 2MiB or 10k/s", unitWords(a.unit), unitWords(b.unit))
		}
		return a.unit, nil
	case op == "*" && a.unit == number:
		return b.unit, nil
	case op == "*" && b.unit == number, op == "/" && b.unit == number:
		return a.unit, nil
	case op == "*":
		return "", fmt.Errorf("%s times %s: want a plain number for one of them", unitWords(a.unit), unitWords(b.unit))
	case a.unit == b.unit:
		return number, nil
	}
	return a.unit + " over " + b.unit, nil
}

// call compiles a call of a function.
func (c *compiler) call(name string, args []ast.Node, depth int) (term, error) {
	switch name {
	case literalCall:
		if len(args) == 1 {
			if s, ok := args[0].(*ast.StringNode); ok {
				return literal(s.Value)
			}
		}
	case "at":
		return c.at(args, depth)
	case "slope":
		return c.slope(args, depth)
	case "upto":
		return c.upto(args, depth)
	case "server_cpus":
		return serverCPUs(args)
	case "lowest", "highest":
		return c.extreme(name, args, depth)
	case "within":
		return term{}, errors.New("within is a comparison and no number")
	}
	i := slices.IndexFunc(Functions, func(f Function) bool { return f.Name == name })
	if i < 0 {
		return term{}, fmt.Errorf("no function %q: want one of %s", name, functionNames())
	}
	return c.measured(&Functions[i], args)
}

// at takes an expression at one step of the sweep.
func (c *compiler) at(args []ast.Node, depth int) (term, error) {
	if len(args) != 2 {
		return term{}, fmt.Errorf("at: %d arguments: want at(STEP, expression)", len(args))
	}
	step, ok := nameOf(args[0])
	if !ok || c.step != "" || c.every {
		return term{}, errors.New("at: want at(STEP, expression) with the name of a step, not within another at or slope")
	}
	c.step = step
	t, err := c.term(args[1], depth+1)
	c.step = ""
	if err != nil {
		return t, err
	}
	return term{text: fmt.Sprintf("at(%s, %s)", step, t.text), unit: t.unit, literal: t.literal, eval: func(c *cell) (float64, error) {
		return t.eval(c.at(step))
	}}, nil
}

// slope is the Theil–Sen slope of an expression over the numbers that are swept.
func (c *compiler) slope(args []ast.Node, depth int) (term, error) {
	if len(args) != 1 || c.step != "" || c.every {
		return term{}, errors.New("slope: want slope(expression), not within at or another slope")
	}
	c.every = true
	t, err := c.term(args[0], depth+1)
	c.every = false
	if err != nil {
		return t, err
	}
	return term{text: "slope(" + t.text + ")", unit: t.unit, eval: func(c *cell) (float64, error) {
		var x, y []float64
		for _, s := range c.data.Run.Steps {
			if s.Value == nil {
				return 0, fmt.Errorf("step %s has no number", s.Name)
			}
			v, err := t.eval(c.at(s.Name))
			if err != nil {
				return 0, fmt.Errorf("at step %s: %w", s.Name, err)
			}
			x, y = append(x, *s.Value), append(y, v)
		}
		return finite(inference.TheilSen(x, y, 0.95).Slope, nil)
	}}, nil
}

func (c *compiler) extreme(name string, args []ast.Node, depth int) (term, error) {
	if len(args) < 2 {
		return term{}, fmt.Errorf("%s: %d arguments: want two or more", name, len(args))
	}
	var list []term
	var words []string
	for _, a := range args {
		t, err := c.term(a, depth+1)
		if err != nil {
			return t, err
		}
		if list = append(list, t); t.unit != list[0].unit {
			return t, fmt.Errorf("%s: %s and %s: want the same unit", name, unitWords(list[0].unit), unitWords(t.unit))
		}
		words = append(words, t.text)
	}
	return term{text: name + "(" + strings.Join(words, ", ") + ")", unit: list[0].unit, eval: func(c *cell) (float64, error) {
		var all []float64
		for _, t := range list {
			v, err := t.eval(c)
			if err != nil {
				return 0, err
			}
			all = append(all, v)
		}
		if name == "lowest" {
			return slices.Min(all), nil
		}
		return slices.Max(all), nil
	}}, nil
}

// nameOf reads an argument that is a name: in quotes, or where it is made of words and whole numbers with / and - between them,
// without.
func nameOf(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IdentifierNode:
		return n.Value, true
	case *ast.IntegerNode:
		return strconv.Itoa(n.Value), true
	case *ast.CallNode:
		if name, args := called(n); name == literalCall && len(args) == 1 {
			return nameOf(args[0])
		}
	case *ast.BinaryNode:
		if n.Operator != "/" && n.Operator != "-" {
			return "", false
		}
		a, ok := nameOf(n.Left)
		b, also := nameOf(n.Right)
		return a + n.Operator + b, ok && also
	}
	return "", false
}
