// Package claims holds the claims that millrace puts to the test, as data: what an article says, which run decides it, and by
// which statements. They are fixed before anything is measured: a claim is never edited to fit what was measured. It also
// judges rows from runs. It does no I/O.
package claims

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/millrace/millrace/analysis/expect"
	"github.com/millrace/millrace/scenarios"
)

//go:embed catalogue.yaml
var catalogue []byte

//go:embed mechanisms.yaml
var mechanisms []byte

// Catalogue is all claims, and the runs that decide them.
type Catalogue struct {
	Runs []Run `yaml:"runs"`
	Rows []Row `yaml:"rows"`
}

// Run is a run that rows rest on; rows that name the same share it.
type Run struct {
	Name string `yaml:"name"`
	// Scenario is the name of an embedded one, or a path that ends in .yaml.
	Scenario string `yaml:"scenario"`
	// Servers are the variants. Those that there are not are left out, with a note.
	Servers []string `yaml:"servers"`
	// Set are fields that are changed, PATH=VALUE as for `millrace run --set`, and Sweep is as --sweep.
	Set   []string `yaml:"set"`
	Sweep string   `yaml:"sweep"`
	// Rounds of the whole catalogue, at least expect.Rounds where anything should be decided.
	Rounds int `yaml:"rounds"`
	// Quick is the quick form: beyond the scenario's own, in place of Set, Sweep, Servers and Rounds where given.
	Quick Quick `yaml:"quick"`
}

// Quick is what --quick changes of a run.
type Quick struct {
	Servers []string `yaml:"servers"`
	Set     []string `yaml:"set"`
	Sweep   string   `yaml:"sweep"`
	Rounds  int      `yaml:"rounds"`
}

// Row is one claim.
type Row struct {
	ID string `yaml:"id"`
	// Says is what the article says, in a sentence; Read how the figures are to be read.
	Says string `yaml:"says"`
	Read string `yaml:"read"`
	// Statements decide it: all of them CONFIRMED confirm the claim, any REFUTED refutes it.
	Statements []Statement `yaml:"statements"`
	// Needs are controls: unless all are CONFIRMED the row is UNDECIDED, whatever its statements say. Such are that the problem arose in
	// the model that is accused of it, and that the server was what limited a closed loop. The reading says what it means if one is not.
	Needs []Statement `yaml:"needs"`
	// Shown are figures that stand beside, and decide nothing.
	Shown []Statement `yaml:"shown"`
	// ServerCPUs is how many CPUs the server must have for a verdict, zero for any number. Cant says why fewer can't decide, and
	// Machine what could.
	ServerCPUs int    `yaml:"server_cpus"`
	Cant       string `yaml:"cant"`
	Machine    string `yaml:"machine"`
}

// Statement is a part of a claim, as a statement about one run.
type Statement struct {
	// Name is a word, unique in its row.
	Name string `yaml:"name"`
	// Run names the run that it is about.
	Run string `yaml:"run"`
	// That is the statement, see package expect.
	That string `yaml:"that"`
	// Reading says how it follows from the claim's words, its threshold above all.
	Reading string `yaml:"reading"`
}

// Default is the catalogue that is built in.
func Default() (*Catalogue, error) { return Decode("claims/catalogue.yaml", catalogue) }

// Mechanisms are sentences on why a verdict is as it is, written by hand after measuring, by the row's id.
func Mechanisms() (map[string]string, error) {
	var list map[string]string
	if err := yaml.NewDecoder(bytes.NewReader(mechanisms), yaml.Strict()).Decode(&list); err != nil {
		return nil, fmt.Errorf("reading mechanisms.yaml: %s", strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return list, nil
}

// Decode reads a catalogue. An unknown key, or a statement that can't be read, is an error that names the file and the row.
func Decode(file string, data []byte) (*Catalogue, error) {
	var c Catalogue
	err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&c)
	if err != nil && !errors.Is(err, io.EOF) { // an empty file has nothing in it
		err = errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	} else {
		err = c.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("reading claims %s: %w", path.Base(file), err)
	}
	return &c, nil
}

// Limits of a catalogue.
const (
	maxRuns   = 100
	maxRows   = 200
	maxRounds = 100
)

func (c *Catalogue) validate() error {
	if len(c.Runs) < 1 || len(c.Runs) > maxRuns || len(c.Rows) < 1 || len(c.Rows) > maxRows {
		return fmt.Errorf("%d runs and %d rows: want 1 to %d and 1 to %d", len(c.Runs), len(c.Rows), maxRuns, maxRows)
	}
	names := map[string]bool{}
	for _, r := range c.Runs {
		switch {
		case r.Name == "" || names[r.Name]:
			return fmt.Errorf("run %q: want a name, each once", r.Name)
		case r.Scenario == "":
			return fmt.Errorf("run %s: want a scenario", r.Name)
		case r.Rounds < 1 || r.Rounds > maxRounds || r.Quick.Rounds < 0 || r.Quick.Rounds > maxRounds:
			return fmt.Errorf("run %s: rounds %d, quick %d: want 1 to %d, and 0 to %d", r.Name, r.Rounds, r.Quick.Rounds, maxRounds, maxRounds)
		}
		names[r.Name] = true
	}
	ids := map[string]bool{}
	for i := range c.Rows {
		row := &c.Rows[i]
		if row.ID == "" || ids[row.ID] {
			return fmt.Errorf("row %q: want an id, each once", row.ID)
		}
		ids[row.ID] = true
		if err := row.validate(names); err != nil {
			return fmt.Errorf("row %s: %w", row.ID, err)
		}
	}
	for _, r := range c.Runs {
		if !slices.ContainsFunc(c.Rows, func(row Row) bool { return slices.Contains(row.Runs(), r.Name) }) {
			return fmt.Errorf("run %s: no row needs it", r.Name)
		}
	}
	return nil
}

func (r *Row) validate(runs map[string]bool) error {
	switch {
	case r.Says == "" || r.Read == "":
		return errors.New("want says and read, a sentence each")
	case len(r.Statements) == 0:
		return errors.New("no statements: what would decide it?")
	case (r.ServerCPUs > 0) != (r.Cant != "") || (r.Cant != "") != (r.Machine != ""):
		return errors.New("want server_cpus, cant and machine together, or none of them")
	}
	seen := map[string]bool{}
	for _, s := range r.all() {
		if s.Name == "" || seen[s.Name] {
			return fmt.Errorf("statement %q: want a name, each once", s.Name)
		}
		seen[s.Name] = true
		if !runs[s.Run] {
			return fmt.Errorf("statement %s: no run %q", s.Name, s.Run)
		}
		if s.Reading == "" {
			return fmt.Errorf("statement %s: no reading: say how it follows from the claim's words", s.Name)
		}
		if _, err := expect.Parse(s.That); err != nil {
			return fmt.Errorf("statement %s: %w", s.Name, err)
		}
	}
	return nil
}

// all are its statements, its controls and what is shown.
func (r *Row) all() []Statement { return slices.Concat(r.Statements, r.Needs, r.Shown) }

// Runs are the names of the runs that the row rests on, each once.
func (r *Row) Runs() []string {
	var list []string
	for _, s := range r.all() {
		if !slices.Contains(list, s.Run) {
			list = append(list, s.Run)
		}
	}
	return list
}

// Decides reports whether a server with so many CPUs is enough for some row that rests on the run: rows which are undecided there
// whatever is measured need no more of it than a figure.
func (c *Catalogue) Decides(run string, serverCPUs int) bool {
	return slices.ContainsFunc(c.Rows, func(r Row) bool { return r.ServerCPUs <= serverCPUs && slices.Contains(r.Runs(), run) })
}

// Only returns the catalogue of some rows and the runs that they need, in the catalogue's order; of all where no id is given.
func (c *Catalogue) Only(ids []string) (*Catalogue, error) {
	if len(ids) == 0 {
		return c, nil
	}
	var some Catalogue
	needed := map[string]bool{}
	for _, row := range c.Rows {
		if slices.Contains(ids, row.ID) {
			some.Rows = append(some.Rows, row)
			for _, name := range row.Runs() {
				needed[name] = true
			}
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(some.Rows, func(r Row) bool { return r.ID == id }) {
			var known []string
			for _, r := range c.Rows {
				known = append(known, r.ID)
			}
			return nil, fmt.Errorf("no claim %q: want some of %s", id, strings.Join(known, ", "))
		}
	}
	for _, r := range c.Runs {
		if needed[r.Name] {
			some.Runs = append(some.Runs, r)
		}
	}
	return &some, nil
}

// As is the run as it is made: its quick form, or itself.
func (r Run) As(quick bool) Run {
	if !quick {
		return r
	}
	q := r.Quick
	if len(q.Servers) > 0 {
		r.Servers = q.Servers
	}
	if len(q.Set) > 0 {
		r.Set = q.Set
	}
	if q.Sweep != "" {
		r.Sweep = q.Sweep
	}
	r.Rounds = max(q.Rounds, 1)
	return r
}

// Expectations are the statements about one run, as its scenario's expect block has them.
func (c *Catalogue) Expectations(run string) []scenarios.Expectation {
	var list []scenarios.Expectation
	for _, row := range c.Rows {
		list = append(list, row.expectations(row.Statements, run)...)
	}
	return list
}

func (r *Row) expectations(statements []Statement, run string) []scenarios.Expectation {
	var list []scenarios.Expectation
	for _, s := range statements {
		if s.Run == run {
			list = append(list, scenarios.Expectation{Name: r.ID + "." + s.Name, Claim: r.ID, That: s.That})
		}
	}
	return list
}
