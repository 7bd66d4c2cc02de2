package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/floor"
	"github.com/millrace/millrace/internal/hostkey"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
	"github.com/millrace/millrace/runner/host"
)

// keptFloor is the floor that is kept of this host, empty where there is none.
func keptFloor() (floor.Floor, error) {
	path, err := hostkey.Path("calibrate")
	if err != nil {
		return floor.Floor{}, err
	}
	return floor.Load(path)
}

// holdAgainstFloor adds the check of the floor to the report of a load. A load measures no floor: its target may be anywhere, and
// it must not take longer than was asked for. So where there is none the check is left out, with a hint how to get it.
func holdAgainstFloor(plan *clients.Plan, r *clients.Report) {
	f, err := keptFloor()
	if split, wrong := host.AllowedCPUs(false); wrong != nil || !f.SameCPUs(floorOn(split)) {
		f = floor.Floor{} // other CPUs reach something else
	}
	c := f.Check(plan, r)
	if c.State == validity.Unknown {
		c.State, c.Reason = validity.NotApplicable, c.Reason+": "+c.Remedy
		if err != nil {
			c.Reason = err.Error()
		}
	}
	r.Judge(c)
}

// floorOf is the floor for a run: what is kept, and what the run needs beyond it, measured now. What can't be measured is
// told, and makes the trials SUSPECT.
func floorOf(ctx context.Context, errs io.Writer, run *results.Run) floor.Floor {
	f, err := keptFloor()
	here := floorOn(run.Split)
	if own, wrong := host.AllowedCPUs(false); wrong != nil || !here.SameCPUs(floorOn(own)) {
		return here // a calibration would measure other CPUs
	}
	if !f.SameCPUs(here) {
		f = here
	}
	for _, k := range runner.Kinds(run) {
		if _, ok := f.Nearest(k); ok || floor.Grid(k.Engine) == nil || ctx.Err() != nil {
			continue
		}
		fmt.Fprintf(errs, "calibrating the client, once for this host, kernel and program: %v\n", k)
		if err = calibrateInChild(ctx, errs, k); err != nil {
			break
		}
		if f, err = keptFloor(); err != nil {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(errs, "millrace: calibrating the client: %v\n", err)
	}
	return f
}

// calibrateWithin is more than `calibrate --quick` of one kind takes on a busy host.
const calibrateWithin = 60 * time.Second

// calibrateInChild measures one kind in a process of its own, since the client's process is pinned and tuned for it.
func calibrateInChild(ctx context.Context, errs io.Writer, k floor.Kind) error {
	program, err := self()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, calibrateWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "calibrate", "--quick", "--engine", k.Engine, "--protocol", k.Protocol, "-c", strconv.Itoa(k.Connections),
		"--pipeline", strconv.Itoa(k.Pipeline), "--requests", strconv.Itoa(k.Requests), "--payload", strconv.Itoa(k.Payload),
		"--close="+k.Close)
	cmd.Stderr = errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// It is killed when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = errors.New("it took over " + calibrateWithin.String())
		}
		return fmt.Errorf("measuring the floor with %v: %w", k, err)
	}
	return nil
}
