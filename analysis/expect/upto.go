package expect

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// upto is the largest of the numbers that are swept up to which an expression stays at or below a limit, at every step from the
// first on: the highest rate with a p99 under the objective. A step without the figure does not hold it, since a p99 is absent where
// too many requests have no reply. Where the first step doesn't hold it either there is no value.
func (c *compiler) upto(args []ast.Node, depth int) (term, error) {
	if len(args) != 2 || c.step != "" || c.every {
		return term{}, errors.New("upto: want upto(expression, limit), not within at, slope or another upto")
	}
	c.every = true
	t, err := c.term(args[0], depth+1)
	c.every = false
	if err != nil {
		return t, err
	}
	limit, err := c.term(args[1], depth+1)
	switch {
	case err != nil:
		return limit, err
	case limit.literal == nil || limit.unit != t.unit:
		return limit, fmt.Errorf("upto: limit %s: want a number with the unit of %s, %s", limit.text, t.text, unitWords(t.unit))
	}
	return term{text: "upto(" + t.text + ", " + limit.text + ")", unit: number, eval: func(c *cell) (float64, error) {
		held := 0.0
		for i, s := range c.data.Run.Steps {
			if s.Value == nil {
				return 0, fmt.Errorf("step %s has no number", s.Name)
			}
			if i > 0 && *s.Value <= *c.data.Run.Steps[i-1].Value {
				return 0, fmt.Errorf("step %s is not above the one before: want steps that grow", s.Name)
			}
			v, err := t.eval(c.at(s.Name))
			switch {
			case errors.Is(err, errNoTrial):
				return 0, fmt.Errorf("at step %s: %w", s.Name, err)
			case err == nil && v <= *limit.literal:
				held = *s.Value
				continue
			case i == 0:
				return 0, fmt.Errorf("not even step %s holds %s", s.Name, limit.text)
			}
			return held, nil
		}
		return held, nil
	}}, nil
}

// serverCPUs is how many CPUs the servers of the run had.
func serverCPUs(args []ast.Node) (term, error) {
	if len(args) != 0 {
		return term{}, fmt.Errorf("server_cpus: %d arguments: want none", len(args))
	}
	return term{text: "server_cpus()", unit: number, eval: func(c *cell) (float64, error) {
		return finite(float64(len(c.data.Run.Split.Server)), nil)
	}}, nil
}
