package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// commandKey is the field of a control request that names the command.
const commandKey = "cmd"

// ReadyLine is what a server prints when it accepts connections.
type ReadyLine struct {
	Schema int    `json:"schema"`
	Ready  bool   `json:"ready"`
	Addr   string `json:"addr"`
	PID    int    `json:"pid"`
}

// Description is what `describe` prints, as far as the suite looks at it.
type Description struct {
	Schema    int    `json:"schema"`
	Name      string `json:"name"`
	Doc       string `json:"doc"`
	Framework struct {
		Module  string `json:"module"`
		Version string `json:"version"`
	} `json:"framework"`
	Protocols []string  `json:"protocols"`
	Variants  []Variant `json:"variants"` // beside the plain model
	HalfClose string    `json:"half_close"`
}

// Variant is a set of flags with a name.
type Variant struct {
	Name  string   `json:"name"`
	Doc   string   `json:"doc"`
	Flags []string `json:"flags"`
}

// Describe runs `describe` and decodes what it prints.
func Describe(ctx context.Context, command []string) (*Description, error) {
	p, err := Spawn(append(slices.Clone(command), "describe"), nil)
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	select {
	case <-p.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("describing %s: it does not end", command[0])
	}
	if p.err != nil {
		how, _ := p.Ended()
		return nil, fmt.Errorf("describing %s: %s", command[0], how)
	}
	var d Description
	if err := json.Unmarshal(p.stdout, &d); err != nil {
		return nil, fmt.Errorf("describing %s: standard output is not one JSON object: %w", command[0], err)
	}
	return &d, nil
}

// Readings asks a server for its readings and returns every number in them by its name; those of the counters
// under their own names.
func (p *Process) Readings(ctx context.Context) (map[string]float64, error) {
	reply, err := p.Call(ctx, "readings", nil)
	if err != nil {
		return nil, err
	}
	if err := Refusal("readings", reply); err != nil {
		return nil, err
	}
	numbers := make(map[string]float64)
	flatten(numbers, reply)
	delete(numbers, "id")
	return numbers, nil
}

// flatten collects the numbers of nested objects by their innermost keys.
func flatten(into map[string]float64, object map[string]any) {
	for k, v := range object {
		switch v := v.(type) {
		case float64:
			into[k] = v
		case map[string]any:
			flatten(into, v)
		}
	}
}

// Profile is the fields of a profile request.
func Profile(kind string, seconds float64, path string) map[string]any {
	return map[string]any{"kind": kind, "seconds": seconds, "path": path}
}
