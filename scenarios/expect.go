package scenarios

import (
	"fmt"
	"strings"
)

// Expectation is a statement about the results of a run. It is decided on the rounds with intervals, so that the answer can be
// that nothing is decided.
type Expectation struct {
	// Name is a word for tables, unique in its scenario.
	Name string `yaml:"name" json:"name"`
	// Claim is the id in claims of the claim that this decides, such as A5; empty of an objective of one's own.
	Claim string `yaml:"claim" json:"claim,omitempty"`
	// That is the statement, such as `p99(gnet, recovery) < 1.1 * p99(gnet, baseline)`: a comparison of two expressions. What
	// can stand in it is in docs/EXPECT.md.
	That string `yaml:"that" json:"that"`
}

const (
	maxExpect     = 64
	maxExpression = 4096
)

func (s *Scenario) validateExpect() error {
	if len(s.Expect) > maxExpect {
		return fmt.Errorf("expect: %d statements, want at most %d", len(s.Expect), maxExpect)
	}
	seen := map[string]bool{}
	for i, e := range s.Expect {
		path := fmt.Sprintf("expect[%d]", i)
		switch {
		case e.Name == "" || strings.ContainsAny(e.Name, "/ \t\n"):
			return fmt.Errorf("%s.name %q: want a word without blanks and slashes", path, e.Name)
		case seen[e.Name]:
			return fmt.Errorf("%s.name %q is taken: want each once", path, e.Name)
		case strings.TrimSpace(e.That) == "" || len(e.That) > maxExpression:
			return fmt.Errorf("%s.that: %d characters: want a comparison of up to %d, such as p99(gnet) < 5ms", path, len(e.That), maxExpression)
		}
		seen[e.Name] = true
	}
	return nil
}
