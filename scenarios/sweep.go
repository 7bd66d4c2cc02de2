package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Step is one step of a sweep: the scenario with some fields changed.
type Step struct {
	// Name is a word for tables and file names, such as "1000" or "pooled".
	Name string `yaml:"name" json:"name"`
	// Value is the number that is swept, for axes and crossovers; nil where steps are not numbers.
	Value *float64 `yaml:"value" json:"value,omitempty"`
	// Set are the fields that this step changes, by path, as --set does.
	Set map[string]any `yaml:"set" json:"set"`
}

const maxSteps = 32

// UnmarshalJSON reads a step with whole numbers as the YAML of files has them, so that its fields can be set again.
func (s *Step) UnmarshalJSON(data []byte) error {
	type plain Step
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode((*plain)(s)); err != nil {
		return err
	}
	for key, value := range s.Set {
		s.Set[key] = numbered(value)
	}
	return nil
}

// numbered replaces the numbers of JSON, in lists and maps as well.
func numbered(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64() // JSON has no other numbers
		return f
	case []any:
		for i := range v {
			v[i] = numbered(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = numbered(v[key])
		}
	}
	return value
}

func (s *Scenario) validateSweep() error {
	if len(s.Sweep) > maxSteps {
		return fmt.Errorf("sweep: %d steps, want at most %d", len(s.Sweep), maxSteps)
	}
	seen := map[string]bool{}
	for i, step := range s.Sweep {
		path := fmt.Sprintf("sweep[%d]", i)
		switch {
		case step.Name == "" || strings.ContainsAny(step.Name, "./\\ \t\n\x00"):
			return fmt.Errorf("%s.name %q: want a word without blanks, dots and slashes", path, step.Name)
		case seen[step.Name]:
			return fmt.Errorf("%s.name %q is taken: want each once", path, step.Name)
		case len(step.Set) == 0:
			return fmt.Errorf("%s.set is empty: say which fields the step changes", path)
		case (step.Value == nil) != (s.Sweep[0].Value == nil):
			return fmt.Errorf("%s.value: want it in all steps or in none", path)
		}
		seen[step.Name] = true
		if _, err := s.At(step); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// Sweeps reports whether a step of the sweep sets the field of that path, one above it or one below it, and the first that does.
func (s *Scenario) Sweeps(path string) (step string, swept bool) {
	for _, step := range s.Sweep {
		for key := range step.Set {
			if key == path || strings.HasPrefix(key, path+".") || strings.HasPrefix(path, key+".") {
				return step.Name, true
			}
		}
	}
	return "", false
}

// At returns the scenario of one step of the sweep, without the sweep itself.
func (s *Scenario) At(step Step) (*Scenario, error) {
	one := s.Clone()
	one.Sweep = nil
	var err error
	for _, key := range sortedKeys(step.Set) {
		if one, err = one.set(key, step.Set[key]); err != nil {
			return nil, fmt.Errorf("sweep step %s: %w", step.Name, err)
		}
	}
	if one, err = one.counted(func(path string) bool { return step.Set[path] != nil }).checked(); err != nil {
		return nil, fmt.Errorf("sweep step %s: %w", step.Name, err)
	}
	return one, nil
}

// ParseSweep reads "PATH=VALUE,VALUE,…" with numbers such as 100, 1k or 2M, sizes such as 64B or 4KiB, durations or shares; PATH
// may leave out ".count" of connections and ".share" of work.
func ParseSweep(text string) ([]Step, error) {
	path, list, found := strings.Cut(text, "=")
	if !found || path == "" || list == "" {
		return nil, fmt.Errorf("sweep %q: want PATH=VALUE,VALUE,… such as connections=100,1k,10k", text)
	}
	if full, short := map[string]string{"connections": "connections.count", "work": "work.share"}[path]; short {
		path = full
	}
	var steps []Step
	for _, word := range strings.Split(list, ",") {
		word = strings.TrimSpace(word)
		value, set, err := sweepValue(word)
		if err != nil {
			return nil, fmt.Errorf("sweep %s: value %q: %w", path, word, err)
		}
		steps = append(steps, Step{Name: strings.NewReplacer("%", "pct", ".", "_", "/", "_per_").Replace(word), Value: &value, Set: map[string]any{path: set}})
	}
	return steps, nil
}

// sweepValue is a value as a number, for axes, and as it is set.
func sweepValue(word string) (number float64, set any, err error) {
	var p Percent
	if strings.HasSuffix(word, "%") {
		err = p.UnmarshalText([]byte(word))
		return float64(p), word, err
	}
	if strings.HasSuffix(word, "B") {
		n, err := ParseSize(word)
		return float64(n), n, err
	}
	var d Duration
	if d.UnmarshalText([]byte(word)) == nil {
		return float64(d) / 1e9, word, nil
	}
	r, err := ParseRate(word)
	if err != nil {
		return 0, nil, fmt.Errorf("want a number such as 100, 1k or 2M, a size such as 4KiB, a duration or a share")
	}
	if strings.HasSuffix(word, "/s") {
		return float64(r), word, nil
	}
	if float64(r) == float64(int64(r)) {
		return float64(r), int64(r), nil
	}
	return float64(r), strconv.FormatFloat(float64(r), 'g', -1, 64), nil
}
