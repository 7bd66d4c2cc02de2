package scenarios

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed *.yaml
var files embed.FS

// Names lists the embedded scenarios in the order in which they are shown.
var Names = []string{"burst", "connburst", "idle", "mostly-idle", "million", "reconnect", "churn", "transport", "steady", "payload", "push", "push-ws", "flood", "rr", "rpc", "blocking", "jitter", "ingest"}

// Named returns the embedded scenario of that name, as written. The error of an unknown one lists the known.
func Named(name string) (*Scenario, error) {
	if !slices.Contains(Names, name) {
		return nil, fmt.Errorf("unknown scenario %q: want one of %s, or a path ending in .yaml", name, strings.Join(Names, ", "))
	}
	data, err := fs.ReadFile(files, name+".yaml")
	if err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", name, err)
	}
	return Decode(name+".yaml", data)
}

// Decode reads a scenario from YAML. An unknown key, a wrong type or a value out of range is an error that names the
// file and the line or path. What is left out takes its default.
func Decode(file string, data []byte) (*Scenario, error) {
	var s Scenario
	if err := strict(data, &s); err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", path.Base(file), err)
	}
	s.setDefaults()
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", path.Base(file), err)
	}
	if _, err := s.Quickened(); err != nil {
		return nil, fmt.Errorf("reading scenario %s: quick: %w", path.Base(file), err)
	}
	return &s, nil
}

func strict(data []byte, into any) error {
	err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(into)
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(yaml.FormatError(err, false, true))
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		text += "\nknown: " + strings.Join(knownKeys(reflect.TypeFor[Scenario]()), ", ")
	}
	return errors.New(text)
}

// knownKeys lists the YAML keys of a struct, those of the structs in it behind theirs: "connections.count".
func knownKeys(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		sub := f.Type
		if sub.Kind() == reflect.Slice {
			sub = sub.Elem()
		}
		if sub.Kind() != reflect.Struct {
			keys = append(keys, key)
			continue
		}
		for _, k := range knownKeys(sub) {
			keys = append(keys, key+"."+k)
		}
	}
	return keys
}

// Quickened returns the scenario with its quick fields applied: a smaller version of the same.
func (s *Scenario) Quickened() (*Scenario, error) {
	q := s
	var err error
	keys := make([]string, 0, len(s.Quick))
	for k := range s.Quick {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if q, err = q.set(k, s.Quick[k]); err != nil {
			return nil, err
		}
	}
	return q.counted(func(path string) bool { return s.Quick[path] != nil }).checked()
}

// Set returns the scenario with one field changed by its path, as in "connections.count=2000" or
// "phases.recovery.for=60s". Phases are named by their name. The error of an unknown path lists the known keys.
func (s *Scenario) Set(assignment string) (*Scenario, error) {
	key, text, ok := strings.Cut(assignment, "=")
	if !ok || key == "" {
		return nil, fmt.Errorf("set %q: want PATH=VALUE, such as connections.count=2000", assignment)
	}
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return nil, fmt.Errorf("set %s: value %q is not YAML", key, text)
	}
	r, err := s.set(key, value)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", assignment, err)
	}
	return r, nil
}

// Check is Validate after defaults: what a scenario changed by Set must pass before it runs.
func (s *Scenario) checked() (*Scenario, error) {
	c := s.Clone()
	c.setDefaults()
	return c, c.Validate()
}

// Apply returns the scenario with all assignments applied in order and the whole checked once at the end, so that two
// fields that depend on each other can be changed together.
func (s *Scenario) Apply(assignments []string) (*Scenario, error) {
	var err error
	for _, a := range assignments {
		if s, err = s.Set(a); err != nil {
			return nil, err
		}
	}
	return s.counted(func(path string) bool {
		return slices.ContainsFunc(assignments, func(a string) bool { return strings.HasPrefix(a, path+"=") })
	}).checked()
}

// counted takes the number of connections from steps that were set where it was not.
func (s *Scenario) counted(set func(path string) bool) *Scenario {
	if set("connections.steps") && !set("connections.count") {
		s = s.Clone()
		s.Connections.Count = 0
	}
	return s
}

// set goes through the YAML form, so that paths, types and strictness are those of the files.
func (s *Scenario) set(key string, value any) (*Scenario, error) {
	data, err := yaml.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing scenario %s: %w", s.Name, err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, fmt.Errorf("reading scenario %s: %w", s.Name, err)
	}
	if err := assign(tree, strings.Split(key, "."), value); err != nil {
		return nil, err
	}
	if data, err = yaml.Marshal(tree); err != nil {
		return nil, fmt.Errorf("writing %s: %w", key, err)
	}
	var r Scenario
	if err := strict(data, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

func assign(tree map[string]any, keys []string, value any) error {
	key := keys[0]
	old, ok := tree[key]
	if !ok {
		return fmt.Errorf("unknown key %q: want one of %s", key, strings.Join(sortedKeys(tree), ", "))
	}
	if key == "arrivals" && len(keys) == 2 {
		// One kind replaces the other: two at once would never be valid.
		fields, _ := old.(map[string]any)
		if _, known := fields[keys[1]]; !known {
			return fmt.Errorf("unknown key %q: want one of %s", keys[1], strings.Join(sortedKeys(fields), ", "))
		}
		tree[key] = map[string]any{keys[1]: value}
		return nil
	}
	if len(keys) == 1 {
		tree[key] = value
		return nil
	}
	switch sub := old.(type) {
	case map[string]any:
		return assign(sub, keys[1:], value)
	case []any:
		return assignNamed(key, sub, keys[1:], value)
	}
	return fmt.Errorf("%q has no keys below it", key)
}

func assignNamed(list string, items []any, keys []string, value any) error {
	var names []string
	for _, item := range items {
		m, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("%q has no keys below it", list)
		}
		name, _ := m["name"].(string)
		if name != keys[0] {
			names = append(names, name)
			continue
		}
		if len(keys) == 1 {
			return fmt.Errorf("%s.%s: say which key: one of %s", list, name, strings.Join(sortedKeys(m), ", "))
		}
		return assign(m, keys[1:], value)
	}
	return fmt.Errorf("unknown name %q in %s: want one of %s", keys[0], list, strings.Join(names, ", "))
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
