package sut

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/clients/fleet"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/observe"
	"github.com/millrace/millrace/servers/conform"
)

// Plan is what the agent that hosts servers is asked to do in one trial.
type Plan struct {
	Variant  results.Variant `json:"variant"`
	Protocol string          `json:"protocol"`
	Payload  int             `json:"payload"`
	Work     string          `json:"work"`
	CPUs     []int           `json:"cpus"`
	// Push are the flags that say what the server sends on its own; empty where it doesn't.
	Push []string `json:"push,omitempty"`
	// Replicas is how many processes the server runs as; zero means one.
	Replicas int `json:"replicas,omitempty"`
	// Edges are the phases' beginnings and the end, in ns after T0.
	Edges []Edge `json:"edges"`
	// CacheDir remembers which programs are conformed.
	CacheDir string `json:"cache_dir"`
	// Downstream is started beside the server where its work calls one; nil is none.
	Downstream *DownstreamPlan `json:"downstream,omitempty"`
	// Observe is nil in every measured trial.
	Observe *observe.Plan `json:"observe,omitempty"`
}

// Ready is the answer once the server accepts connections.
type Ready struct {
	// Addr is the first replica's address, Addrs are those of all.
	Addr  string   `json:"addr"`
	Addrs []string `json:"addrs"`
	PID   int      `json:"pid"`
}

// Done is what is known when the server has ended.
type Done struct {
	// Final is the last reading, taken when all load was over.
	Final results.Reading `json:"final"`
	// Exit is empty for a clean end; else what the server did when it was asked to stop.
	Exit string `json:"exit,omitempty"`
	// Killed is true where it had to be killed.
	Killed bool `json:"killed,omitempty"`
	// Log is the end of the server's log. Panicked is whether any line of it tells of a crash; the first of them is then
	// in Log, at its head unless it is among the last.
	Log      []string `json:"log,omitempty"`
	Panicked bool     `json:"panicked"`
	// Downstream is what it saw; nil without one, or where it could not be asked.
	Downstream *results.Downstream `json:"downstream,omitempty"`
	// Foreign is true of a server without counters of its own.
	Foreign bool `json:"foreign,omitempty"`
	// Sampler has in its notes what the log lost, too.
	Sampler SamplerStats `json:"sampler"`
}

// progressEvery is how often the sut agent tells its last reading.
const progressEvery = 250 * time.Millisecond

// Executor is the executor of the role "sut": it conforms, starts and samples one server a trial. Only programs of its
// directory are started, by name, and foreign servers that a file of this host describes as the plan has it.
type Executor struct {
	dir        string
	plan       Plan
	servers    *Replicas
	sampler    *Sampler
	file       *os.File
	downstream *downstream // nil where the work calls none
	log        string
	observer   *observe.Observer // nil in every measured trial
	scratch    string            // a foreign server's folder
	conformed  map[string]bool   // foreign servers, by checksum, protocol and payload
}

var _ fleet.Executor = (*Executor)(nil)

// New returns an executor that starts the server programs in dir.
func New(dir string) *Executor { return &Executor{dir: dir} }

// Prepare conforms the program once per checksum and starts a fresh process of it.
func (s *Executor) Prepare(ctx context.Context, plan json.RawMessage, spool string) (json.RawMessage, error) {
	*s = Executor{dir: s.dir, conformed: s.conformed}
	if err := json.Unmarshal(plan, &s.plan); err != nil {
		return nil, fmt.Errorf("reading plan: %w", err)
	}
	p := s.plan
	command, err := s.command(ctx)
	if err != nil {
		return nil, err
	}
	if s.file, err = os.Create(filepath.Join(spool, "readings.jsonl")); err != nil {
		return nil, fmt.Errorf("keeping readings: %w", err)
	}
	if s.downstream, err = startDownstream(ctx, s.dir, p.Downstream, filepath.Join(spool, "downstream.log")); err != nil {
		return nil, err
	}
	s.log = filepath.Join(spool, "server.log")
	if p.Variant.File == "" {
		command.Args = append([]string{"serve", "--listen", "127.0.0.1:0", "--protocol", p.Protocol, "--work", s.downstream.work(p.Work),
			"--payload", strconv.Itoa(p.Payload)}, slices.Concat(p.Push, p.Variant.Args)...)
	}
	if p.Replicas > 1 && p.Observe != nil {
		return nil, fmt.Errorf("observing %s: %d replicas: want one process to look into", p.Variant.Name, p.Replicas)
	}
	if s.observer, err = observe.New(p.Observe, spool); err != nil {
		return nil, err
	}
	command.LogPath, command.OnThread = s.log, s.observer.OnThread
	command.Env = s.observer.Env(variables(p.Variant.Env))
	s.servers, err = StartReplicas(ctx, command, max(p.Replicas, 1))
	if err != nil {
		return nil, err
	}
	return json.Marshal(Ready{Addr: s.servers.First().Addr(), Addrs: s.servers.Addrs(), PID: s.servers.First().PID()})
}

// command says how to start the server, once its program is conformed and what was planned with.
func (s *Executor) command(ctx context.Context) (Command, error) {
	p := s.plan
	if p.Variant.File != "" {
		return s.foreignCommand(ctx)
	}
	program := filepath.Join(s.dir, p.Variant.Model)
	if !slices.Contains(Models, p.Variant.Model) {
		return Command{}, fmt.Errorf("starting %q: not in this agent's catalogue: %s", p.Variant.Model, strings.Join(Models, ", "))
	}
	if sum, err := fileSHA256(program); err != nil {
		return Command{}, err
	} else if sum != p.Variant.SHA256 {
		return Command{}, changedError(program)
	}
	return Command{Name: p.Variant.Name, Path: program, CPUs: p.CPUs}, conformOnce(ctx, program, p)
}

func changedError(program string) error {
	return fmt.Errorf("starting %s: the program has changed since the run was planned: start the run again", program)
}

// variables is the environment of a server with variables of its own; nil without any.
func variables(own []string) []string {
	if len(own) == 0 {
		return nil
	}
	return append(os.Environ(), own...)
}

func conformOnce(ctx context.Context, program string, p Plan) error {
	report, err := conform.Cached(ctx, p.CacheDir, conform.Target{
		Command: []string{program}, Protocol: p.Protocol, Args: p.Variant.Args, Env: p.Variant.Env,
	})
	if err != nil {
		return fmt.Errorf("conforming %s: %w", p.Variant.Name, err)
	}
	if err := report.Err(); err != nil {
		return fmt.Errorf("%w: mend the server; `millrace conform %s` shows all cases", err, p.Variant.Name)
	}
	return nil
}

// endTold is far more than it takes until the end of a process is told.
const endTold = time.Second

// Run samples the server until ctx ends. A server that ends by itself ends Run with an error.
func (s *Executor) Run(ctx context.Context, t0 int64, progress func(any)) (json.RawMessage, error) {
	if err := s.downstream.begin(ctx, t0); err != nil {
		return nil, err
	}
	s.sampler = NewSampler(s.servers, s.file, t0, s.plan.Edges)
	s.sampler.beside = s.downstream.pids()
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan struct{}) // what tells must be over before Finish
	observed := s.observer.Start(ctx, s.servers.First(), t0)
	defer func() {
		cancel()
		<-told
		<-observed
	}()
	go func() {
		defer close(told)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-s.servers.Done():
				cancel()
				return
			case <-s.downstream.done():
				cancel()
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				progress(s.sampler.Last())
			}
		}
	}()
	_, err := s.sampler.Run(ctx)
	if errors.As(err, new(*memoryError)) {
		return nil, err // nobody ended, and there is no time to lose
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		// What a process that ends can no longer be asked for fails a moment before its end is told, which says more.
		select {
		case <-s.servers.Done():
		case <-time.After(endTold):
			return nil, err
		}
	}
	if err := s.downstream.failure(); err != nil {
		return nil, err
	}
	if s.servers.hasEnded() {
		return nil, s.servers.Failure("ended in the middle of the trial")
	}
	return json.RawMessage(`{}`), nil
}

// Finish takes the last reading and stops the server.
func (s *Executor) Finish(ctx context.Context) (json.RawMessage, error) {
	done := Done{Foreign: s.plan.Variant.File != ""}
	if s.file != nil {
		defer s.file.Close()
	}
	if s.scratch != "" {
		defer os.RemoveAll(s.scratch)
	}
	defer s.downstream.stop(ctx)
	if s.servers == nil {
		s.observer.Close() // the kernel would count on for all processes, until this agent ends
		return json.Marshal(done)
	}
	if s.sampler != nil {
		s.downstream.around(ctx, &done, func() { s.takeFinal(ctx, &done) })
	}
	s.observer.Finish(ctx, s.servers.First())
	exit := s.servers.Stop(ctx)
	if !exit.Clean() {
		done.Exit, done.Killed = exit.String(), exit.Killed
	}
	done.Log = s.servers.LogTail()
	done.Panicked = s.servers.Crashed() != ""
	if exit.LogDropped > 0 {
		done.Sampler.Notes = append(done.Sampler.Notes, fmt.Sprintf("the last %d bytes of server.log were dropped: it is limited to %d", exit.LogDropped, maxLogBytes))
	}
	s.servers = nil
	return json.Marshal(done)
}

// takeFinal takes the last reading of a server that still runs, and ends the sampling.
func (s *Executor) takeFinal(ctx context.Context, done *Done) {
	defer s.sampler.Close()
	if s.servers.hasEnded() {
		done.Sampler = s.sampler.stats
		return
	}
	final, err := s.sampler.Final(ctx)
	done.Sampler = s.sampler.stats
	if err != nil {
		done.Sampler.Notes = append(done.Sampler.Notes, err.Error())
		return
	}
	done.Final = final
}
