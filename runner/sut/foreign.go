package sut

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/runner/sut/foreign"
	"github.com/millrace/millrace/servers/conform"
	"github.com/millrace/millrace/servers/conform/probe"
)

// describeForeign is what a foreign server would say with `describe`.
func describeForeign(f *foreign.Server) *Description {
	d := &Description{Name: f.Name, Doc: f.Doc, Protocols: f.Protocols, Missing: f.Missing}
	d.Framework.Module, d.Framework.Version, _ = strings.Cut(f.Framework, " ")
	return d
}

// foreignCommand says how to start a foreign server, once it is conformed, which is remembered for the life of the agent.
func (s *Executor) foreignCommand(ctx context.Context) (Command, error) {
	p := s.plan
	f, err := foreign.Read(p.Variant.File, Models)
	if err != nil {
		return Command{}, err
	}
	if f.Variant().SHA256 != p.Variant.SHA256 {
		return Command{}, changedError(p.Variant.File + " or " + p.Variant.Binary)
	}
	if p.Replicas > 1 {
		return Command{}, fmt.Errorf("starting %s: %d replicas of a foreign server: want one", f.Name, p.Replicas)
	}
	if key := fmt.Sprintln(p.Variant.SHA256, p.Protocol, p.Payload); !s.conformed[key] {
		report, err := ConformForeign(ctx, f, p.Protocol, p.Payload)
		if err == nil {
			err = report.Err()
		}
		if err != nil {
			return Command{}, fmt.Errorf("%w; `millrace conform %s` shows all cases", err, p.Variant.File)
		}
		if s.conformed == nil {
			s.conformed = map[string]bool{}
		}
		s.conformed[key] = true
	}
	if s.scratch, err = foreignFolder(); err != nil {
		return Command{}, err
	}
	return startForeign(f, s.scratch, p.Protocol, p.Payload, p.CPUs)
}

// foreignFolder is a fresh folder that other users can read, as which a server may run.
func foreignFolder() (string, error) {
	dir, err := os.MkdirTemp("", "millrace-foreign-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		return dir, fmt.Errorf("making a server's folder: %w", err)
	}
	return dir, nil
}

// startForeign says how to start a foreign server, with its files in dir.
func startForeign(f *foreign.Server, dir, protocol string, payload int, cpus []int) (Command, error) {
	c, err := f.Prepare(dir, protocol, wire.Payload(payload), len(cpus))
	if err != nil {
		return Command{}, err
	}
	v := f.Variant()
	return Command{Name: v.Name, Path: v.Binary, Args: c.Args, Dir: c.Dir, CPUs: cpus, Addr: c.Addr, StopBy: c.Stop}, nil
}

// ConformForeign starts a foreign server, puts to it the cases of the suite that it can be asked, and stops it.
func ConformForeign(ctx context.Context, f *foreign.Server, protocol string, payload int) (*conform.Report, error) {
	if payload == 0 {
		payload = probe.DefaultPayload
	}
	dir, err := foreignFolder()
	if dir != "" {
		defer os.RemoveAll(dir)
	}
	if err != nil {
		return nil, err
	}
	c, err := startForeign(f, dir, protocol, payload, nil)
	if err != nil {
		return nil, err
	}
	p, err := StartProcess(ctx, c)
	if err != nil {
		return nil, err
	}
	defer p.Stop(ctx)
	return conform.Run(ctx, conform.Target{Protocol: protocol, Payload: payload, Foreign: true, Addr: p.Addr(), NoEcho: !f.Echo}, conform.Options{})
}

// relist looks, at an edge, whether a foreign server has other processes than before. New ones are sampled from then on, and that
// is told: what they used before is in their counters, and in no reading.
func (s *Sampler) relist(final bool) error {
	if !s.servers.First().isForeign() {
		return nil
	}
	pids, err := s.servers.PIDs()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if slices.Contains(s.pids, pid) {
			continue
		}
		more, err := openUsages([]int{pid})
		if err != nil {
			continue // it has just ended
		}
		s.pids, s.usage = append(s.pids, pid), append(s.usage, more...)
		if s.edge > 0 || final { // before the first edge nothing is measured, and workers are still being started
			s.stats.Born++
		}
	}
	return nil
}

// isForeign reports whether a process keeps no contract.
func (p *Process) isForeign() bool { return p.command.Addr != "" }

// awaited is what a server has not done that is not ready.
func (p *Process) awaited() string {
	if p.isForeign() {
		return "no connection to " + p.command.Addr + ", or another program listens there,"
	}
	return "no ready line"
}

// connectAgain is how often a foreign server is tried until it accepts connections.
const connectAgain = 5 * time.Millisecond

// awaitConnection makes a foreign server ready once it accepts connections, and not another program that took its port.
func (p *Process) awaitConnection() {
	again := time.NewTicker(connectAgain)
	defer again.Stop()
	for {
		if c, err := net.DialTimeout("tcp", p.command.Addr, readyWithin); err == nil {
			c.Close()
			if foreign.Listens(p.pid, p.command.Addr) {
				p.addr = p.command.Addr
				p.ready <- nil
				return
			}
		}
		select {
		case <-p.done:
			p.ready <- errors.New("it ended before it accepted connections at " + p.command.Addr)
			return
		case <-again.C:
		}
	}
}
