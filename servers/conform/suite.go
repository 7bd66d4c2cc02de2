// Package conform tests from outside, over real sockets, whether a program keeps the server contract: correct replies
// however requests are cut, refusal of what is malformed, no leak, honest counters, a clean end. A server that fails is
// not benchmarked. The suite writes every request by hand and shares no codec with the servers.
package conform

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/servers/conform/cases"
	"github.com/millrace/millrace/servers/conform/probe"
)

// Schema is the version of Report.
const Schema = 1

// Version of the suite: part of the cache key, so that a new case is put to every program again.
const Version = 5

// patience is how long a server may leave one thing undone, such as a reply, unless Options.Patience says otherwise: an
// answer on loopback takes microseconds, so that five seconds are silence even on a busy host. A case has caseShare times
// as much for all that it asks.
const (
	patience  = 5 * time.Second
	caseShare = 6
)

// slots is how many cases run at the same time. Most wait, so it is far above the number of CPUs.
const slots = 16

// Target is one variant of a program under one protocol, or a foreign server.
type Target = probe.Target

// Options of a run. The zero value runs all cases under the default limits.
type Options struct {
	// Only names the cases to run; a name ending in "/" stands for all below it. Empty means all.
	Only []string
	// Patience is how long the server may take for one thing, such as a reply; a whole case has six times as much, and
	// ending has its own limit of 5 s. Zero means 5 s.
	Patience time.Duration
}

// CaseResult says how one case ended: Passed, Skipped with the reason, or failed with Err.
type CaseResult struct {
	Name    string  `json:"name"`
	Passed  bool    `json:"passed"`
	Skipped string  `json:"skipped,omitempty"`
	Err     string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Report is what the suite found, its cases in the order of the suite.
type Report struct {
	Schema   int    `json:"schema"`
	Suite    int    `json:"suite"`
	Program  string `json:"program"` // base name, or the address of a server that ran already
	SHA256   string `json:"sha256,omitempty"`
	Protocol string `json:"protocol"`
	// Args and Env as in Target.
	Args    []string     `json:"args"`
	Env     []string     `json:"env,omitempty"`
	Cases   []CaseResult `json:"cases"`
	Passed  bool         `json:"passed"` // no case failed and at least one passed
	Seconds float64      `json:"seconds"`
}

// Failed returns the cases that failed.
func (r *Report) Failed() []CaseResult {
	return slices.DeleteFunc(slices.Clone(r.Cases), func(c CaseResult) bool { return c.Passed || c.Skipped != "" })
}

// Err is nil if the report passed, else an error of one line that names the cases and the first cause.
func (r *Report) Err() error {
	if r.Passed {
		return nil
	}
	failed := r.Failed()
	if len(failed) == 0 {
		return fmt.Errorf("conforming %s (%s): no case was run", r.Program, r.Protocol)
	}
	names := make([]string, len(failed))
	for i, c := range failed {
		names[i] = c.Name
	}
	return fmt.Errorf("conforming %s (%s): %d of %d cases failed: %s; %s: %s", r.Program, r.Protocol,
		len(failed), len(r.Cases), strings.Join(names, ", "), failed[0].Name, failed[0].Err)
}

// Run puts every case to the target and returns what it found. An error means that the suite itself could not be run:
// an unknown protocol or case, a program that does not exist, a cancelled context. Run takes bounded time whatever the
// server does, and every process it started has ended when it returns.
func Run(ctx context.Context, t Target, opts Options) (*Report, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	chosen, err := choose(t.Protocol, opts.Only)
	if err != nil {
		return nil, err
	}
	report := &Report{Schema: Schema, Suite: Version, Program: t.Addr, Protocol: t.Protocol, Args: t.Args, Env: t.Env}
	if len(t.Command) > 0 {
		report.Program = filepath.Base(t.Command[0])
		if report.SHA256, err = fileSum(t.Command[0]); err != nil {
			return nil, fmt.Errorf("reading program %s: %w", t.Command[0], err)
		}
	}
	if opts.Patience <= 0 {
		opts.Patience = patience
	}
	dir, err := os.MkdirTemp("", "conform-")
	if err != nil {
		return nil, fmt.Errorf("making scratch folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	started := time.Now()
	protocol := probe.Protocols[t.Protocol](t.Payload)
	if t.NoEcho {
		protocol = probe.WithoutEcho(protocol)
	}
	s := &suite{target: t, protocol: protocol, patience: opts.Patience, dir: dir}
	defer s.close()
	report.Cases = s.runAll(ctx, chosen)
	report.Seconds = time.Since(started).Seconds()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("conforming %s: %w", report.Program, err)
	}
	report.Passed = len(report.Failed()) == 0 &&
		slices.ContainsFunc(report.Cases, func(c CaseResult) bool { return c.Passed })
	return report, nil
}

// RunAddr is Run for a server that is running already. Of t only Protocol and Payload are used.
func RunAddr(ctx context.Context, addr string, t Target, opts Options) (*Report, error) {
	return Run(ctx, Target{Protocol: t.Protocol, Payload: t.Payload, Foreign: true, Addr: addr}, opts)
}

// choose returns the cases of the protocol that only names, in the order of the suite.
func choose(protocol string, only []string) ([]cases.Case, error) {
	all := cases.List(protocol)
	if len(only) == 0 {
		return all, nil
	}
	var chosen []cases.Case
	hit := make(map[string]bool)
	for _, c := range all {
		for _, name := range only {
			if c.Name == name || strings.HasSuffix(name, "/") && strings.HasPrefix(c.Name, name) {
				hit[name] = true
				if len(chosen) == 0 || chosen[len(chosen)-1].Name != c.Name {
					chosen = append(chosen, c)
				}
			}
		}
	}
	for _, name := range only {
		if !hit[name] {
			names := make([]string, len(all))
			for i, c := range all {
				names[i] = c.Name
			}
			return nil, fmt.Errorf("unknown case %q of %s: want one of %s", name, protocol, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}

// suite is one Run: what its cases share.
type suite struct {
	target   Target
	protocol probe.Protocol
	patience time.Duration
	dir      string // scratch, removed at the end

	once   sync.Once
	shared *probe.Process // see server
	err    error
}

// server starts the process that cases without demands of their own share, once.
func (s *suite) server(ctx context.Context) (*probe.Process, error) {
	s.once.Do(func() {
		if s.target.Foreign {
			s.shared, s.err = probe.StartForeign(ctx, s.patience, s.target)
			return
		}
		s.shared, s.err = probe.StartServer(ctx, s.patience, s.target)
	})
	return s.shared, s.err
}

func (s *suite) close() {
	s.once.Do(func() {})
	if s.shared != nil {
		s.shared.Kill()
	}
}

// runAll runs the cases, at most slots at a time, and returns their results in the same order.
func (s *suite) runAll(ctx context.Context, chosen []cases.Case) []CaseResult {
	results := make([]CaseResult, len(chosen))
	free := make(chan struct{}, slots)
	var wg sync.WaitGroup
	for i, c := range chosen {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			results[i] = s.runOne(ctx, c)
		})
	}
	wg.Wait()
	return results
}

func (s *suite) runOne(ctx context.Context, c cases.Case) CaseResult {
	result := CaseResult{Name: c.Name}
	if s.target.Foreign && c.Contract {
		result.Skipped = "a foreign server keeps only its protocol, not the contract around it"
		return result
	}
	if s.target.Foreign && c.Pushing && s.target.Protocol == "ws" {
		result.Skipped = "a foreign server of ws was not told to send on its own"
		return result
	}
	if s.target.NoEcho && s.target.Protocol == "http1" && c.Echo {
		result.Skipped = "this server does not answer with what it was sent"
		return result
	}
	started := time.Now()
	limit := caseShare * s.patience
	if c.Ends {
		limit += probe.ExitLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.attempt(ctx, c)
	result.Seconds = time.Since(started).Seconds()
	result.Passed = err == nil
	if err != nil {
		result.Err = err.Error()
	}
	return result
}

// attempt gives the case the server it wants and runs it.
func (s *suite) attempt(ctx context.Context, c cases.Case) error {
	a := &probe.Attempt{Ctx: ctx, Patience: s.patience, Target: s.target, Protocol: s.protocol, Dir: s.dir}
	defer a.Close()
	var err error
	switch {
	case c.Self:
	case c.Own && !s.target.Foreign:
		if a.Server, err = probe.StartServer(ctx, s.patience, s.target, c.Args...); err == nil {
			defer a.Server.Kill()
		}
	default:
		a.Server, err = s.server(ctx)
	}
	if err != nil {
		return fmt.Errorf("starting server: %w", err)
	}
	if err = c.Run(a); err != nil && a.Server != nil && !c.Ends {
		if how, ended := a.Server.Ended(); ended {
			return fmt.Errorf("%w (the server ended: %s)", err, how)
		}
	}
	return err
}
