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
	// Edges are the phases' beginnings and the end, in ns after T0.
	Edges []Edge `json:"edges"`
	// CacheDir remembers which programs are conformed.
	CacheDir string `json:"cache_dir"`
	// Observe is nil in every measured trial.
	Observe *observe.Plan `json:"observe,omitempty"`
}

// Ready is the answer once the server accepts connections.
type Ready struct {
	Addr string `json:"addr"`
	PID  int    `json:"pid"`
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
	// Sampler has in its notes what the log lost, too.
	Sampler SamplerStats `json:"sampler"`
}

// progressEvery is how often the sut agent tells its last reading.
const progressEvery = 250 * time.Millisecond

// Executor is the executor of the role "sut": it conforms, starts and samples one server a trial. Only programs of its
// directory are started, by name.
type Executor struct {
	dir      string
	plan     Plan
	process  *Process
	sampler  *Sampler
	file     *os.File
	log      string
	observer *observe.Observer // nil in every measured trial
}

var _ fleet.Executor = (*Executor)(nil)

// New returns an executor that starts the server programs in dir.
func New(dir string) *Executor { return &Executor{dir: dir} }

// Prepare conforms the program once per checksum and starts a fresh process of it.
func (s *Executor) Prepare(ctx context.Context, plan json.RawMessage, spool string) (json.RawMessage, error) {
	*s = Executor{dir: s.dir}
	if err := json.Unmarshal(plan, &s.plan); err != nil {
		return nil, fmt.Errorf("reading plan: %w", err)
	}
	p := s.plan
	program := filepath.Join(s.dir, p.Variant.Model)
	if !slices.Contains(Models, p.Variant.Model) {
		return nil, fmt.Errorf("starting %q: not in this agent's catalogue: %s", p.Variant.Model, strings.Join(Models, ", "))
	}
	if sum, err := fileSHA256(program); err != nil {
		return nil, err
	} else if sum != p.Variant.SHA256 {
		return nil, fmt.Errorf("starting %s: the program has changed since the run was planned: start the run again", program)
	}
	if err := conformOnce(ctx, program, p); err != nil {
		return nil, err
	}
	var err error
	if s.file, err = os.Create(filepath.Join(spool, "readings.jsonl")); err != nil {
		return nil, fmt.Errorf("keeping readings: %w", err)
	}
	s.log = filepath.Join(spool, "server.log")
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--protocol", p.Protocol, "--work", p.Work,
		"--payload", strconv.Itoa(p.Payload)}, p.Variant.Args...)
	if s.observer, err = observe.New(p.Observe, spool); err != nil {
		return nil, err
	}
	s.process, err = StartProcess(ctx, Command{
		Name: p.Variant.Name, Path: program, Args: args, CPUs: p.CPUs, LogPath: s.log,
		Env: s.observer.Env(nil), OnThread: s.observer.OnThread,
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(Ready{Addr: s.process.Addr(), PID: s.process.PID()})
}

func conformOnce(ctx context.Context, program string, p Plan) error {
	report, err := conform.Cached(ctx, p.CacheDir, conform.Target{
		Command: []string{program}, Protocol: p.Protocol, Args: p.Variant.Args,
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
	s.sampler = NewSampler(s.process, s.file, t0, s.plan.Edges)
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan struct{}) // what tells must be over before Finish
	observed := s.observer.Start(ctx, s.process, t0)
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
			case <-s.process.Done():
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
	if err != nil && !errors.Is(err, context.Canceled) {
		// What a process that ends can no longer be asked for fails a moment before its end is told, which says more.
		select {
		case <-s.process.Done():
		case <-time.After(endTold):
			return nil, err
		}
	}
	if s.process.ended() {
		return nil, s.process.Failure("ended in the middle of the trial")
	}
	return json.RawMessage(`{}`), nil
}

// Finish takes the last reading and stops the server.
func (s *Executor) Finish(ctx context.Context) (json.RawMessage, error) {
	var done Done
	if s.file != nil {
		defer s.file.Close()
	}
	if s.process == nil {
		s.observer.Close() // the kernel would count on for all processes, until this agent ends
		return json.Marshal(done)
	}
	if s.sampler != nil {
		s.takeFinal(ctx, &done)
	}
	s.observer.Finish(ctx, s.process)
	exit := s.process.Stop(ctx)
	if !exit.Clean() {
		done.Exit, done.Killed = exit.String(), exit.Killed
	}
	done.Log = s.process.LogTail()
	done.Panicked = s.process.Crashed() != ""
	if exit.LogDropped > 0 {
		done.Sampler.Notes = append(done.Sampler.Notes, fmt.Sprintf("the last %d bytes of server.log were dropped: it is limited to %d", exit.LogDropped, maxLogBytes))
	}
	s.process = nil
	return json.Marshal(done)
}

// takeFinal takes the last reading of a server that still runs, and ends the sampling.
func (s *Executor) takeFinal(ctx context.Context, done *Done) {
	defer s.sampler.Close()
	if s.process.ended() {
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
