package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/floor"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/design"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/runner/observe"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// Method is the version of docs/METHOD.md: it changes when a figure changes its meaning.
const Method = 2

// MaxRounds bounds a run.
const MaxRounds = results.MaxRounds

// MinUntilRounds is how many rounds have to be there before a run may end because its intervals are narrow enough: fewer
// have no interval to speak of.
const MinUntilRounds = 6

// Config is what a run is asked to do. Validate names what is wrong with it.
type Config struct {
	// Scenario as given: before Quick, Set and the host's limits.
	Scenario *scenarios.Scenario
	// ReadTrace reads a trace's file that the scenario names.
	ReadTrace func(file string) ([]byte, error)
	Quick     bool
	Set       []string // PATH=VALUE
	// Sweep replaces the scenario's own: PATH=VALUE,VALUE,… as scenarios.ParseSweep reads it. Empty leaves it.
	Sweep string
	// Servers are names of variants; empty takes the scenario's, and where it names none every model once.
	Servers []string
	// Reference is the variant that the others are compared with; empty takes the first.
	Reference string
	// Twin compares the only server with itself; nil compares servers.
	Twin *Twin
	// Duet runs both variants of a round at the same time, on the same CPUs, the load going from one to the other.
	Duet bool
	// SharedCPUs gives all CPUs to the server and to the client, in place of a half to each.
	SharedCPUs bool
	// Rounds to run; with Until the most.
	Rounds int
	// Until asks to go on until Enough says so. It is only recorded here: Enough decides.
	Until *results.Until
	// Enough is asked after each whole round whether the run may end, and why or why not. It must be pure, and is handed all
	// trials that count, those of earlier sittings too. Nil runs all Rounds.
	Enough func(run *results.Run, trials []*results.Trial) (enough bool, why string)
	// Budget is the time that the rounds may take: no round begins that would probably not end within it. Zero is no limit.
	Budget time.Duration
	// QuietWait is how long a trial waits for a quiet host at most, such as host.QuietWait; zero does not look.
	QuietWait time.Duration
	// Before is a run to go on with, from Reopen; nil starts a new one.
	Before *Before
	// Seed of the order of the variants and of the arrivals; zero draws one.
	Seed uint64
	// Engine is the load engine's name.
	Engine string
	// Root is the directory of the runs, ServersDir the one of the server programs, CacheDir the one that remembers which
	// of them are conformed.
	Root, ServersDir, CacheDir string
	// Agent is the command that starts an agent, to which its role is added.
	Agent []string
	// Version and Commit are of this build.
	Version, Commit string
	// Floor is what the client reaches on this host at most. Trials of kinds of load that it lacks are SUSPECT; see Kinds.
	Floor floor.Floor
	// Measure fills a trial's metrics from its records; it must be pure.
	Measure func(*results.Trial, []results.Reading, *scenarios.Scenario)
	// Observe says what to look at in a trial of a plan made by PlanExplain; no other run asks.
	Observe func(round int, variant string) *observe.Plan
	// Progress is called by one goroutine at a time while the run goes on, and must return quickly.
	Progress func(Event)
}

// UsageError is an error in what was asked for, not in carrying it out.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// MakePlan decides everything that can be decided before the run: the resolved scenario, what had to be scaled down,
// the variants and their order. It reads the host and the server programs and changes nothing.
func MakePlan(ctx context.Context, c Config) (*results.Run, error) {
	if err := c.checkRounds(); err != nil {
		return nil, err
	}
	seed := c.Seed
	if seed == 0 {
		seed = rand.Uint64()>>1 | 1 // JSON readers keep 63 bits at best
	}
	split, err := host.AllowedCPUs(c.SharedCPUs)
	if err != nil {
		return nil, err
	}
	run := &results.Run{
		Schema: results.Schema, Method: Method, Started: time.Now().UTC(), Quick: c.Quick, Set: c.Set, Sweep: c.Sweep, Engine: c.Engine,
		Rounds: c.Rounds, Seed: seed, Design: design.Williams, Split: split, Given: *c.Scenario,
	}
	if err := resolveScenario(c, run); err != nil {
		return nil, err
	}
	frameworks, err := resolveVariants(ctx, c, run)
	if err != nil {
		return nil, err
	}
	if c.Twin != nil {
		if err := c.Twin.apply(run); err != nil {
			return nil, err
		}
	}
	if c.Duet {
		if err := makeDuets(run); err != nil {
			return nil, err
		}
	}
	if err := c.settle(run); err != nil {
		return nil, err
	}
	run.StepOrder, run.Order = orderOf(run, run.Rounds)
	run.Env = host.CaptureEnv(ctx, frameworks, c.Version, c.Commit)
	run.ID = results.NewID(run.Started, run.Scenario.Name, rand.New(rand.NewPCG(uint64(run.Started.UnixNano()), seed)))
	return run, nil
}

// resolveScenario fills run.Scenario, run.Steps and run.Scale.
func resolveScenario(c Config, run *results.Run) error {
	s, err := c.changed()
	if err != nil {
		return &UsageError{err}
	}
	if len(s.Sweep) > 0 {
		return resolveSteps(c, s, run)
	}
	if s, err = s.ReadTraces(c.ReadTrace); err != nil {
		return &UsageError{err}
	}
	if most, why := fits(s); s.Connections.Count > most {
		run.Scale = append(run.Scale, fmt.Sprintf("%d connections instead of %d: %s", most, s.Connections.Count, why))
		s.LimitConnections(most)
	}
	run.Scale = append(run.Scale, settleReplicas(s)...)
	resolved, err := s.Resolve()
	if err != nil {
		return &UsageError{fmt.Errorf("scenario %s: %w", s.Name, err)}
	}
	run.Scenario = *resolved
	return fitsMessage(resolved)
}

// changed is the scenario after Quick, Sweep and Set.
func (c *Config) changed() (*scenarios.Scenario, error) {
	s := c.Scenario
	var err error
	if c.Quick {
		if s, err = s.Quickened(); err != nil {
			return nil, fmt.Errorf("quick: %w", err)
		}
	}
	if c.Sweep != "" {
		s = s.Clone()
		if s.Sweep, err = scenarios.ParseSweep(c.Sweep); err != nil {
			return nil, err
		}
	}
	if s, err = s.Apply(c.Set); err != nil {
		return nil, err
	}
	for _, a := range c.Set {
		key, _, _ := strings.Cut(a, "=")
		if step, swept := s.Sweeps(key); swept {
			return nil, fmt.Errorf("set %s: step %s of the sweep sets it again: leave it out, or take another sweep with --sweep %s=VALUE,VALUE,…", a, step, key)
		}
	}
	return s, nil
}

// maxScenarioBytes of JSON leave a plan room in a message to an agent.
const maxScenarioBytes = 3 << 20

// fitsMessage refuses a scenario whose traces are too long to travel.
func fitsMessage(s *scenarios.Scenario) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing scenario %s: %w", s.Name, err)
	}
	if len(data) > maxScenarioBytes {
		return &UsageError{fmt.Errorf("scenario %s takes %d bytes with its traces: want at most %d, about half a million arrivals: shorten them, or use millrace load --trace", s.Name, len(data), maxScenarioBytes)}
	}
	return nil
}

// resolveVariants fills run.Variants and run.NotApplicable, and returns the frameworks' versions.
func resolveVariants(ctx context.Context, c Config, run *results.Run) (map[string]string, error) {
	cat, err := sut.ReadCatalogue(ctx, c.ServersDir)
	if err != nil {
		return nil, err
	}
	names := c.Servers
	if len(names) == 0 {
		names = run.Scenario.Servers
	}
	if len(names) == 0 {
		names = slices.DeleteFunc(cat.Names(), func(n string) bool { return strings.Contains(n, "/") })
	}
	frameworks := map[string]string{}
	seen := map[string]bool{}
	for _, name := range names {
		v, err := cat.Variant(name)
		switch {
		case err != nil:
			return nil, &UsageError{err}
		case seen[v.Name]:
			return nil, &UsageError{fmt.Errorf("server %s is named twice: want each once", v.Name)}
		}
		seen[v.Name] = true
		if why := cannotServe(cat, v, run); why != "" {
			if run.NotApplicable == nil {
				run.NotApplicable = map[string]string{}
			}
			run.NotApplicable[v.Name] = why
			continue
		}
		module, version, _ := strings.Cut(v.Framework, " ")
		frameworks[module] = version
		run.Variants = append(run.Variants, v)
	}
	if len(run.Variants) == 0 {
		return nil, &UsageError{fmt.Errorf("none of the servers %s speaks %s: %s %s", strings.Join(names, ", "), run.Scenario.Protocol, names[0], run.NotApplicable[names[0]])}
	}
	return frameworks, nil
}

// cannotServe says why a variant can't take part in the run; empty where it can.
func cannotServe(cat *sut.Catalogue, v results.Variant, run *results.Run) string {
	for _, s := range run.Workloads() {
		if why := cat.CannotServe(v, s); why != "" {
			return why
		}
	}
	return ""
}

// checkRounds refuses a number of rounds, or a budget, out of range.
func (c *Config) checkRounds() error {
	least := 1
	if c.Until != nil {
		least = MinUntilRounds
	}
	if c.Rounds < least || c.Rounds > MaxRounds {
		return &UsageError{fmt.Errorf("rounds %d: want %d to %d", c.Rounds, least, MaxRounds)}
	}
	if c.Budget < 0 {
		return &UsageError{fmt.Errorf("budget %v: want a time such as 20m", c.Budget)}
	}
	return nil
}

// settle fills in run.Reference and run.Rounds, which need the variants, and refuses a budget that holds no round.
func (c *Config) settle(run *results.Run) error {
	run.Reference = c.Reference
	if run.Reference == "" {
		run.Reference = run.Variants[0].Name
	}
	names := namesOf(run.Variants)
	if !slices.Contains(names, run.Reference) {
		return &UsageError{fmt.Errorf("reference %q: want one of the run's servers %s", run.Reference, strings.Join(names, ", "))}
	}
	if c.Until != nil {
		if run.Rounds = MinUntilRounds; len(names) < 2 {
			return &UsageError{fmt.Errorf("until ±%g %%: %s has nothing to be compared with: name two servers or more", c.Until.Width*100, names[0])}
		}
	}
	if round := PerRound(run); c.Budget > 0 && c.Budget < round {
		return &UsageError{fmt.Errorf("budget %v: one round takes about %v: want at least that", c.Budget, round.Round(time.Second))}
	}
	return nil
}

// Estimate is how long all rounds of the run take on a quiet host.
func Estimate(run *results.Run) time.Duration { return time.Duration(run.Rounds) * PerRound(run) }

// PerRound is how long a whole round takes on a quiet host.
func PerRound(run *results.Run) time.Duration {
	return time.Duration(run.TrialsPerRound()) * PerTrial(run)
}

// PerTrial is how long a trial takes on a quiet host, by its phases and TrialOverhead: the mean over the steps of a sweep.
func PerTrial(run *results.Run) time.Duration {
	var sum time.Duration
	list := run.Workloads()
	for _, s := range list {
		sum += s.Duration() + TrialOverhead
	}
	each := sum / time.Duration(len(list))
	if run.Duet {
		each /= duetSlots
	}
	return each
}

// TrialOverhead is what a trial takes beyond its phases: listening to the host, starting a server, arming, collecting and
// stopping. Measured at about half a second on two cores, and QuietWindow.
const TrialOverhead = 500*time.Millisecond + host.QuietWindow

// Kinds are the kinds of load that the floor has to have for a run, each once.
func Kinds(run *results.Run) []floor.Kind {
	var list []floor.Kind
	for _, s := range run.Workloads() {
		for _, k := range floor.Kinds(&clients.Plan{Scenario: *s, Engine: run.Engine}) {
			if !slices.Contains(list, k) {
				list = append(list, k)
			}
		}
	}
	return list
}
