// Package results keeps what was measured: the records, the run directory that holds them, and the formats that other
// tools read. Files are the truth; everything else is derived from them.
package results

import (
	"slices"
	"time"

	"github.com/millrace/millrace/scenarios"
)

// Schema is the version of every record in this package.
const Schema = 1

// MaxRounds bounds a run; 20 rounds are enough to publish.
const MaxRounds = 1000

// Run is run.json: what was planned and where, written before anything is measured.
type Run struct {
	Schema int    `json:"schema"`
	ID     string `json:"id"` // 20261121T031500Z-burst-k3f9
	// Method is the version of docs/METHOD.md's rules; runs of different methods are not compared.
	Method  int       `json:"method"`
	Started time.Time `json:"started"`
	// Purpose is empty for a run that measures, else one of the Purpose constants; with PurposeExplain, Explains is the ID of the run that is explained.
	Purpose  string `json:"purpose,omitempty"`
	Explains string `json:"explains,omitempty"`
	// Injected is the share of its CPU time a request by which the second variant of a run of PurposeAA is slower, on purpose.
	Injected float64 `json:"injected,omitempty"`
	// Scenario as given and as resolved, after --quick, --set and the host's limits.
	Given    scenarios.Scenario `json:"scenario_given"`
	Scenario scenarios.Scenario `json:"scenario"`
	// Steps of a sweep, each a trial of its own with every variant in a round; empty where all trials run Scenario. With Steps no
	// trial runs Scenario as it stands: it is what they begin with, before a step's fields are set and the host's limits.
	Steps []Step   `json:"steps,omitempty"`
	Quick bool     `json:"quick"`
	Set   []string `json:"set,omitempty"`
	// Sweep is what took the place of the scenario's own, in the words of --sweep; empty where nothing did.
	Sweep string `json:"sweep,omitempty"`
	// Scale says what was made smaller to fit the host, a sentence each; it stands in every table and figure.
	Scale    []string  `json:"scale,omitempty"`
	Variants []Variant `json:"variants"`
	// Reference is the variant that the others are compared with, by name; empty in a run of a millrace that recorded none.
	Reference string `json:"reference,omitempty"`
	// NotApplicable names the variants that were asked for and can't take part, with the reason.
	NotApplicable map[string]string `json:"not_applicable,omitempty"`
	// Engine is the load engine that was used.
	Engine string `json:"engine"`
	// Rounds as planned first; sessions.jsonl has what was planned later, see Load.
	Rounds int    `json:"rounds"`
	Seed   uint64 `json:"seed"`
	// Design is how Order was drawn: "williams", or empty for independent random orders.
	Design string `json:"design,omitempty"`
	// Duet tells that the two trials of a round ran at the same time, the load going from one to the other.
	Duet bool `json:"duet,omitempty"`
	// Order[r] is the order of the variants, by name, in round r. In a sweep StepOrder[r] is that of the steps, and Order[r] has
	// the variants of the first of them, then those of the next.
	Order     [][]string `json:"order"`
	StepOrder [][]string `json:"step_order,omitempty"`
	Split     CPUSplit   `json:"cpu_split"`
	Env       Env        `json:"environment"`
}

// Variant is a contender of a run.
type Variant struct {
	Name      string   `json:"name"` // gnet/ants
	Model     string   `json:"model"`
	Framework string   `json:"framework"` // module and version
	Doc       string   `json:"doc"`
	Args      []string `json:"args"` // after `serve`
	// Env are variables of the server process beyond those of the runner, KEY=VALUE.
	Env    []string `json:"env,omitempty"`
	Binary string   `json:"binary"`
	// SHA256 is of the program; of a foreign server, of its description and its program.
	SHA256 string `json:"sha256"`
	// File is the description of a foreign server, empty of ours.
	File string `json:"file,omitempty"`
}

// Settings are the flags and variables by which a variant differs from its model.
func (v *Variant) Settings() []string { return slices.Concat(v.Env, v.Args) }

// CPUSplit says which CPUs run what. Shared is true where client and server run on the same ones.
type CPUSplit struct {
	Server []int `json:"server"`
	Client []int `json:"client"`
	Shared bool  `json:"shared"`
}

// Env is the host and the build that a run was measured on. Empty strings are unknown.
type Env struct {
	Host       string            `json:"host"` // a hash, not the name
	CPU        string            `json:"cpu"`
	Cores      int               `json:"cores"`
	MemBytes   int64             `json:"mem_bytes"`
	Kernel     string            `json:"kernel"`
	Virtual    string            `json:"virtual"`
	Go         string            `json:"go"`
	Millrace   string            `json:"millrace"` // version
	Commit     string            `json:"commit"`
	Dirty      bool              `json:"dirty"`
	Governor   string            `json:"governor"`
	Sysctls    map[string]string `json:"sysctls"`
	Limits     map[string]uint64 `json:"limits"`
	Modules    map[string]string `json:"modules"`
	GOGC       string            `json:"gogc"`
	GOOS       string            `json:"goos,omitempty"`
	GOARCH     string            `json:"goarch,omitempty"`
	GOMAXPROCS string            `json:"gomaxprocs"`
}
