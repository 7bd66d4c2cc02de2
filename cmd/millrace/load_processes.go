package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/crew"
	"github.com/millrace/millrace/clients/crew/member"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/scenarios"
)

// crewRate is the pace of connecting of several processes, in connections a second: as fast as they come, they fill a server's
// listen queue while it waits for a CPU.
const crewRate scenarios.Rate = 30_000

// processFlags are the flag of `millrace load` about processes.
type processFlags struct{ text string }

func (f *processFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.text, "processes", "auto", fmt.Sprintf("processes that make the load, 1 to %d; auto: as many as the connections need where one may not open enough files", crew.MaxMembers))
}

// prepare says how many processes are to make a plan's load, and prepares it for them. search is whether its trials are to be
// many.
func (f *processFlags) prepare(plan *clients.Plan, search bool) (int, error) {
	count := plan.Scenario.Connections.Count
	n := 1
	if f.text != "auto" {
		var err error
		if n, err = strconv.Atoi(f.text); err != nil || n < 1 || n > crew.MaxMembers {
			return 0, fmt.Errorf("--processes %s: want auto or 1 to %d", f.text, crew.MaxMembers)
		}
	} else if !search && crewEngine(plan.Engine) && !plan.Scenario.Pushes() {
		n = min(host.ProcessesFor(count), crew.MaxMembers)
	}
	most, why := host.FitConnections(&plan.Scenario)
	if n > 1 {
		most, why = host.FitLoad(&plan.Scenario, n)
	}
	switch {
	case n > count:
		return 0, fmt.Errorf("--processes %d: %s: want at most one process for each", n, quantity.Count(count, "connection"))
	case count > most:
		remedy := "raise the limit (ulimit -n) or take fewer"
		if f.text != "auto" && !search {
			remedy = "raise the limit (ulimit -n), take fewer, or --processes auto"
		}
		return 0, fmt.Errorf("-c %d: this host can hold %d: %s: %s", count, most, why, remedy)
	case n == 1:
		return n, nil
	case search:
		return 0, fmt.Errorf("--processes %d with --find or --sweep: want one process", n)
	case plan.Scenario.Pushes():
		return 0, fmt.Errorf("--processes %d with protocol %s where the server sends on its own: its counts are not merged over processes: want 1", n, plan.Scenario.Protocol)
	case !crewEngine(plan.Engine):
		return 0, fmt.Errorf("--processes %d with engine %s: want one process, or engine epoll, uring or tls", n, plan.Engine)
	}
	plan.Threads = 1
	if cpus, err := procfs.Affinity(); err == nil {
		plan.Threads = max(len(cpus)/n, 1)
	}
	if c := &plan.Scenario.Connections; c.Rate == 0 && !plan.Scenario.OpensLater() {
		c.Rate = crewRate
	}
	return n, nil
}

// crewEngine reports whether an engine can wait for those of other processes.
func crewEngine(name string) bool { return slices.Contains(member.Engines, name) }

// loadWithCrew makes a load with several processes.
func loadWithCrew(cmd *cobra.Command, plan *clients.Plan, processes int) (*clients.Report, error) {
	command, err := memberCommand()
	if err != nil {
		return nil, err
	}
	// A wrong plan is an error of usage here, and not one of every process.
	if _, err := bareEngine(plan); err != nil {
		return nil, usage(err)
	}
	debug.FreeOSMemory()
	r, err := crew.Run(cmd.Context(), crew.Config{
		Command: command, Members: processes, Stderr: cmd.ErrOrStderr(),
		Env: []string{"GOMAXPROCS=" + strconv.Itoa(plan.Threads+1)},
	}, plan)
	if r != nil {
		r.Judge(checks.KnownAnswer(lastSelfcheck(plan.Engine)))
	}
	return r, err
}

// memberCommand is how a member is started: the small program beside this one, or this one.
func memberCommand() ([]string, error) {
	program, err := self()
	if err != nil {
		return nil, err
	}
	if small := filepath.Join(filepath.Dir(program), member.Name); isProgram(small) {
		return []string{small}, nil
	}
	return []string{program, member.Name}, nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// printAgents tells of the processes of a load, where there are several.
func printAgents(w io.Writer, r *clients.Report) {
	if len(r.Agents) == 0 {
		return
	}
	var p99 []int64
	for _, a := range r.Agents {
		if a.ResponseP99Ns != nil {
			p99 = append(p99, *a.ResponseP99Ns)
		}
	}
	text := quantity.Count(len(r.Agents), "process")
	if len(p99) > 0 {
		ns := func(v int64) string { return quantity.Format(float64(v), quantity.Time) }
		text += fmt.Sprintf(", response p99 of each from %s to %s", ns(slices.Min(p99)), ns(slices.Max(p99)))
		if len(p99) < len(r.Agents) {
			text += fmt.Sprintf(" (of the %d with enough requests)", len(p99))
		}
	}
	fmt.Fprintf(w, "agents     %s\n", text)
}
