package cases

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/servers/conform/probe"
)

// describe checks that the program describes itself, and knows the protocol it is asked for.
func describe(a *probe.Attempt) error {
	d, err := probe.Describe(a.Ctx, a.Target.Command)
	if err != nil {
		return err
	}
	var missing []string
	for field, empty := range map[string]bool{"schema": d.Schema < 1, "name": d.Name == "", "doc": d.Doc == "",
		"framework.module": d.Framework.Module == "", "framework.version": d.Framework.Version == "",
		"protocols": len(d.Protocols) == 0, "half_close": d.HalfClose == ""} {
		if empty {
			missing = append(missing, field)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("describe lacks %s", strings.Join(missing, ", "))
	}
	if strings.Contains(d.Doc, "\n") {
		return errors.New("describe: doc has more than one line")
	}
	for _, v := range d.Variants {
		if v.Name == "" || len(v.Flags) == 0 {
			return fmt.Errorf("describe: variant %+v lacks a name or flags", v)
		}
	}
	if !slices.Contains(d.Protocols, a.Target.Protocol) {
		return fmt.Errorf("describe: protocols are %v, without %s", d.Protocols, a.Target.Protocol)
	}
	return nil
}

// readiness checks the ready line, and that connections are accepted when it is there.
func readiness(a *probe.Attempt) error {
	line := a.Server.Ready
	host, port, err := net.SplitHostPort(line.Addr)
	if err != nil {
		return fmt.Errorf("ready line: %w", err)
	}
	switch {
	case line.Schema < 1:
		return errors.New("ready line: no schema")
	case !line.Ready:
		return errors.New("ready line: ready is not true")
	case host != "127.0.0.1" || port == "0":
		return fmt.Errorf("ready line: address %s, want 127.0.0.1 and the port it got", line.Addr)
	case line.PID != a.Server.PID():
		return fmt.Errorf("ready line: pid %d, want %d", line.PID, a.Server.PID())
	}
	return a.Once(a.Plain(1, false))
}

// portInUse starts the server where something else listens: it ends with a status other than 0 and names the address.
func portInUse(a *probe.Attempt) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("taking a port: %w", err)
	}
	defer func() { _ = l.Close() }()
	p, err := probe.Spawn(a.Target.Serve(l.Addr().String()), a.Target.Env)
	if err != nil {
		return err
	}
	defer p.Kill()
	status, err := p.Status(probe.ExitLimit)
	if err != nil {
		return err
	}
	if status == 0 {
		return errors.New("ended with status 0")
	}
	if !strings.Contains(p.Stderr(), l.Addr().String()) {
		return fmt.Errorf("standard error does not name the address %s: %q", l.Addr(), p.Stderr())
	}
	return nil
}

// unknownFlag wants exit status 2.
func unknownFlag(a *probe.Attempt) error {
	p, err := probe.Spawn(a.Target.Serve("127.0.0.1:0", "--no-such-flag"), a.Target.Env)
	if err != nil {
		return err
	}
	defer p.Kill()
	status, err := p.Status(probe.ExitLimit)
	if err != nil {
		return err
	}
	if status != 2 {
		return fmt.Errorf("exit status %d, want 2", status)
	}
	if p.Stderr() == "" {
		return errors.New("no message on standard error")
	}
	return nil
}

// positive and cumulative are the readings that every server has; those of positive can't be zero.
var (
	positive   = []string{"goroutines", "heap_live_bytes", "heap_in_use_bytes", "stack_bytes", "alloc_bytes", "alloc_objects", "threads"}
	cumulative = []string{"gc_cycles", "gc_cpu_ns", "gc_pause_ns", "switches_voluntary", "switches_involuntary",
		"accepted", "closed", "handled", "refused", "body_bytes_in", "body_bytes_out"}
)

// readings checks that the readings are there, sane, and that what is cumulative does not fall.
func readings(a *probe.Attempt) error {
	before, err := a.Server.Readings(a.Ctx)
	if err != nil {
		return err
	}
	if err := a.Once(a.Plain(1, false)); err != nil {
		return err
	}
	after, err := a.Server.Readings(a.Ctx)
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range append(append([]string{"open"}, positive...), cumulative...) {
		if _, found := after[name]; !found {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("readings lack %s", strings.Join(missing, ", "))
	}
	for _, name := range positive {
		if after[name] <= 0 && name != "heap_live_bytes" {
			return fmt.Errorf("reading %s is %v", name, after[name])
		}
	}
	for _, name := range cumulative {
		if after[name] < before[name] || before[name] < 0 {
			return fmt.Errorf("reading %s went from %v to %v", name, before[name], after[name])
		}
	}
	return nil
}

// unknownCommand wants an error with the same id, and the channel to go on.
func unknownCommand(a *probe.Attempt) error {
	reply, err := a.Server.Call(a.Ctx, "no-such-command", nil)
	if err != nil {
		return err
	}
	if cause, _ := reply["error"].(string); cause == "" {
		return fmt.Errorf("an unknown command was answered without an error: %v", reply)
	}
	_, err = a.Server.Readings(a.Ctx)
	return err
}

// collect checks gc, which adds a cycle, and free.
func collect(a *probe.Attempt) error {
	before, err := a.Server.Readings(a.Ctx)
	if err != nil {
		return err
	}
	if err := a.Server.Command(a.Ctx, "gc", nil); err != nil {
		return err
	}
	after, err := a.Server.Readings(a.Ctx)
	if err != nil {
		return err
	}
	if after["gc_cycles"] <= before["gc_cycles"] {
		return fmt.Errorf("gc_cycles is %v before gc and %v after", before["gc_cycles"], after["gc_cycles"])
	}
	return a.Server.Command(a.Ctx, "free", nil)
}

// profile writes a heap profile, and a CPU profile while the server answers and gives readings.
func profile(a *probe.Attempt) error {
	heap, cpu := filepath.Join(a.Dir, "heap.pprof"), filepath.Join(a.Dir, "cpu.pprof")
	if err := a.Server.Command(a.Ctx, "profile", probe.Profile("heap", 0, heap)); err != nil {
		return err
	}
	answer, err := a.Server.Ask("profile", probe.Profile("cpu", 1, cpu))
	if err != nil {
		return err
	}
	if err := a.Once(a.Plain(1, false)); err != nil {
		return fmt.Errorf("during a profile: %w", err)
	}
	if _, err := a.Server.Readings(a.Ctx); err != nil {
		return fmt.Errorf("during a profile: %w", err)
	}
	if answer.Come() {
		return errors.New("readings waited until a profile of one second was done")
	}
	reply, err := answer.Wait(a.Ctx)
	if err != nil {
		return err
	}
	if err := probe.Refusal("profile", reply); err != nil {
		return err
	}
	for _, path := range []string{heap, cpu} {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading profile: %w", err)
		}
		if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
			return fmt.Errorf("profile %s of %d bytes is not compressed pprof", filepath.Base(path), len(data))
		}
	}
	return nil
}

// counters compares what the server counts with what was sent.
func counters(a *probe.Attempt) error {
	const conns, size = 5, 1000
	before, err := a.Server.Readings(a.Ctx)
	if err != nil {
		return err
	}
	want := map[string]float64{"accepted": conns, "closed": conns, "open": 0}
	err = probe.Lanes(conns, func(lane int) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		requests := []probe.Request{a.Plain(1, false), a.Protocol.Echo(2, numberedBody(2, size)), a.Plain(3, true)}
		if err := c.Exchange(requests...); err != nil {
			return err
		}
		return c.Exchange(numbered(a.Protocol, 10+lane, size)...)
	})
	if err != nil {
		return err
	}
	plain, echoed := float64(2*conns), float64(conns*11+10)
	want["handled"] = plain + echoed
	want["body_bytes_in"] = echoed * size
	want["body_bytes_out"] = echoed*size + plain*float64(max(a.Target.Payload, 0))
	if a.Target.Protocol != "http1" {
		want["body_bytes_in"] = want["body_bytes_out"]
	}
	a.Close()
	started := time.Now()
	for {
		now, err := a.Server.Readings(a.Ctx)
		if err != nil {
			return err
		}
		var wrong []string
		for _, name := range []string{"accepted", "open", "closed", "handled", "body_bytes_in", "body_bytes_out"} {
			if got := now[name] - before[name]; got != want[name] {
				wrong = append(wrong, fmt.Sprintf("%s is %v, want %v", name, got, want[name]))
			}
		}
		if len(wrong) == 0 {
			return nil
		}
		if time.Since(started) > settleLimit || a.Ctx.Err() != nil {
			return errors.New(strings.Join(wrong, "; "))
		}
		a.Pause(5 * time.Millisecond)
	}
}
