package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/procfs"
)

// serverCPU and clientCPU are the CPUs that both sides of every comparison are pinned to.
const (
	serverCPU = 0
	clientCPU = 1
)

// priority is the nice value of every client, millrace or not, and of the server: millrace's load agents run at it. Where it
// is forbidden all run at the caller's.
const priority = -20

// grace is how much longer than its load a tool may run before it is killed.
const grace = 30 * time.Second

// process is what a program that ran to its end used and said.
type process struct {
	stdout, stderr string
	status         int           // exit status
	cpu            time.Duration // user and system of the whole process, from wait4
	wall           time.Duration
	preempted      int64 // involuntary context switches
	// rssAnon is the median of RssAnon over the second half of its life, in bytes; zero unless it was asked for.
	rssAnon float64
}

// start begins a program that is pinned to CPUs, has priority, and dies with this one.
func start(cmd *exec.Cmd, cpus ...int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := procfs.Affinity()
	if err != nil {
		return fmt.Errorf("reading the affinity: %w", err)
	}
	if err := procfs.SetAffinity(cpus); err != nil {
		return fmt.Errorf("pinning %s to CPU %v: %w: the CPUs 0 and 1 are needed", cmd.Path, cpus, err)
	}
	defer func() { _ = procfs.SetAffinity(before) }() // what was allowed is allowed
	old, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err == nil && syscall.Setpriority(syscall.PRIO_PROCESS, 0, priority) == nil {
		// The system call gives 20 − nice. Towards less is always allowed.
		defer func() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 20-old) }()
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// The thread that starts it lives as long as this program: the runtime ends only threads that end while locked.
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return nil
}

// client runs a load tool to its end on the client's CPU. An exit status other than 0 is no error. memory asks for rssAnon.
func client(ctx context.Context, args []string, length time.Duration, memory bool) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, length+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begun := time.Now()
	if err := start(cmd, clientCPU); err != nil {
		return nil, err
	}
	var anon func() float64
	if memory {
		anon = watchMemory(cmd.Process.Pid)
	}
	err := cmd.Wait()
	p := &process{stdout: out.String(), stderr: errs.String(), wall: time.Since(begun)}
	if anon != nil {
		p.rssAnon = anon()
	}
	var exit *exec.ExitError
	if ctx.Err() != nil {
		return nil, fmt.Errorf("running %s: %w", strings.Join(args, " "), ctx.Err())
	} else if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("running %s: %w", strings.Join(args, " "), err)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return nil, fmt.Errorf("running %s: no resource usage on this system", args[0])
	}
	p.status = cmd.ProcessState.ExitCode()
	p.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	p.preempted = usage.Nivcsw
	return p, nil
}

// watchPeriod is how often memory is looked at. It is done on the server's CPU.
const watchPeriod = 50 * time.Millisecond

// watchMemory reads a process's RssAnon until it ends. The function it returns waits for that.
func watchMemory(pid int) func() float64 {
	done := make(chan float64)
	go func() {
		defer close(done)
		p, err := procfs.OpenProcess(pid)
		if err != nil {
			return
		}
		defer p.Close()
		var seen []float64
		for {
			u, err := p.Read()
			if err != nil {
				break
			}
			seen = append(seen, float64(u.RSSAnonBytes))
			time.Sleep(watchPeriod)
		}
		// The last ones may be of a process that is giving back its memory.
		if n := len(seen); n >= 8 {
			done <- spreadOf(seen[n/2 : n-2]).Median
		}
	}()
	return func() float64 { return <-done }
}

// others measures how much of both CPUs programs took that are neither this one nor its children.
type others struct {
	begun time.Time
	busy  float64 // CPU seconds of the host, interrupts among them
	own   float64 // of this program and its children that have ended
}

func watchOthers() others {
	o := others{begun: time.Now()}
	if stat, err := os.ReadFile("/proc/stat"); err == nil {
		var user, nice, system, idle, wait, irq, softirq float64 // in hundredths of a second
		if _, err := fmt.Sscanf(string(stat), "cpu %g %g %g %g %g %g %g", &user, &nice, &system, &idle, &wait, &irq, &softirq); err == nil {
			o.busy = (user + nice + system + irq + softirq) / 100
		}
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			o.own += time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
		}
	}
	return o
}

// share is of the CPU time that this host has, since watchOthers. All children must have ended.
func (o *others) share() float64 {
	now := watchOthers()
	return max(0, (now.busy-o.busy)-(now.own-o.own)) / (now.begun.Sub(o.begun).Seconds() * float64(procfs.OnlineCPUs()))
}
