// Package kit is what the server programs share: the contract of flags, ready line, control channel, readings, work and
// shutdown that makes them interchangeable, and the one place that turns requests into replies. It costs every model the
// same and knows none of them.
package kit

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/millrace/millrace/scenarios"
)

// Schema is the version of the JSON that a server prints.
const Schema = 1

// Model is one way to build a server.
type Model struct {
	Name string
	Doc  string // one line
	// Module is the import path of the framework's module; empty means Go's standard library.
	Module string
	// Protocols that the model speaks, and the reason for each of scenarios.Protocols that it doesn't.
	Protocols []string
	Missing   map[string]string
	Variants  []Variant
	// HalfClose says in a sentence what happens when a client ends its sending side.
	HalfClose string
	// Flags adds the model's own flags; nil adds none. They are parsed before Start.
	Flags func(*flag.FlagSet)
	// Start makes the server listen at env.Listen and returns once it accepts connections. An error ends the program
	// with status 1.
	Start func(env *Env) (Server, error)
}

// Variant is the model with named settings.
type Variant struct {
	Name  string   `json:"name"` // without the model's: "duplex"
	Doc   string   `json:"doc"`
	Flags []string `json:"flags"` // of serve, beyond the common ones
}

// Server is a model at work.
type Server interface {
	// Addr is the address that it accepts connections at, host:port with a concrete port.
	Addr() string
	// Stop ends accepting, lets what is in flight finish and closes every connection; when ctx ends, what is left is
	// closed at once. It is called once. An error is printed and makes the exit status 1.
	Stop(ctx context.Context) error
}

// description is what `describe` prints.
type description struct {
	Schema    int               `json:"schema"`
	Name      string            `json:"name"`
	Doc       string            `json:"doc"`
	Framework framework         `json:"framework"`
	Protocols []string          `json:"protocols"`
	Missing   map[string]string `json:"missing"`
	Variants  []Variant         `json:"variants"`
	// Settings are the model's own flags of serve, without dashes, of which variants are made.
	Settings  []string `json:"settings"`
	HalfClose string   `json:"half_close"`
}

type framework struct {
	Module  string `json:"module"`
	Version string `json:"version"`
}

func (m *Model) describe(w io.Writer) error {
	d := description{
		Schema: Schema, Name: m.Name, Doc: m.Doc, Framework: framework{m.Module, moduleVersion(m.Module)},
		Protocols: m.Protocols, Missing: map[string]string{}, Variants: m.Variants, Settings: m.settings(),
		HalfClose: m.HalfClose,
	}
	for _, p := range scenarios.Protocols {
		if !slices.Contains(m.Protocols, p) {
			d.Missing[p] = m.Missing[p]
		}
	}
	if d.Variants == nil {
		d.Variants = []Variant{}
	}
	if d.Framework.Module == "" {
		d.Framework.Module = "std"
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("describing %s: %w", m.Name, err)
	}
	_, err = fmt.Fprintf(w, "%s\n", data)
	return err
}

// settings are the names of the model's own flags.
func (m *Model) settings() []string {
	names := []string{}
	if m.Flags != nil {
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		m.Flags(fs)
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	}
	return names
}

// moduleVersion is the version that was built in, "unknown" where the build did not record it.
func moduleVersion(path string) string {
	if path == "" {
		return runtime.Version()
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, d := range info.Deps {
		if d.Path == path {
			if d.Replace != nil {
				return d.Replace.Version
			}
			return d.Version
		}
	}
	return "unknown"
}

// validate finds slips in a model's own table; they are the programmer's.
func (m *Model) validate() error {
	for _, p := range m.Protocols {
		if !slices.Contains(scenarios.Protocols, p) {
			return fmt.Errorf("model %s: unknown protocol %q: want one of %s", m.Name, p, strings.Join(scenarios.Protocols, ", "))
		}
	}
	for _, p := range scenarios.Protocols {
		if !slices.Contains(m.Protocols, p) && m.Missing[p] == "" {
			return fmt.Errorf("model %s: say in Missing why it doesn't speak %s", m.Name, p)
		}
	}
	return nil
}
