package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/clients/reflect/raw"
	"github.com/millrace/millrace/scenarios"
)

// maxReflectors bounds --processes: at 20 000 files each more than a host's memory holds.
const maxReflectors = 1000

// reflectorMemoryLimit is when the collector of a reflector, which is off, starts after all.
const reflectorMemoryLimit = 128 << 20

func reflectCommand() *cobra.Command {
	var c raw.Config
	var processes int
	var script reflect.PushScript
	var rate string
	cmd := &cobra.Command{
		Use:   "reflect",
		Short: "Be a server to load: answer at once, or push",
		Long: `Listen and answer at once: GET with a payload, POST with its own body, a frame with itself. With --protocol push send --rate
frames a second to all who subscribe, each channel with numbers of its own; no other server speaks it yet.

One JSON line for each process says where it listens. It ends when its standard input does, or is interrupted: in the
background give it an input that stays open. It is what calibrate measures the client against.

Exit status: 0 its input ended, 1 failed, such as an address in use, 2 usage, 130 interrupted.`,
		Example: `  millrace reflect --listen 127.0.0.1:8080
  millrace reflect --protocol push --rate 1000 --listen 127.0.0.1:9000
  millrace load push://127.0.0.1:9000/news -c 1000 -d 5s
  sleep infinity | millrace reflect --protocol frame --listen 127.0.0.1:9000 &`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if processes < 1 || processes > maxReflectors {
				return usage(fmt.Errorf("--processes %d: want 1 to %d", processes, maxReflectors))
			}
			if c.Protocol == scenarios.Push {
				script.Listen, script.Payload = c.Listen, c.Payload
				if err := pushUsage(&script, rate, processes, c.Threads); err != nil {
					return usage(err)
				}
				return pushHere(cmd, script)
			}
			if !slices.Contains(raw.Protocols, c.Protocol) {
				return usage(fmt.Errorf("--protocol %q: want one of %s", c.Protocol, strings.Join(append(raw.Protocols, scenarios.Push), ", ")))
			}
			if err := c.Validate(); err != nil {
				return usage(err)
			}
			if processes == 1 {
				return reflectHere(cmd, c)
			}
			return reflectElsewhere(cmd, c, processes)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Protocol, "protocol", "http1", "http1, frame or push")
	f.StringVar(&c.Listen, "listen", "127.0.0.1:0", "HOST:PORT with an IP address, or unix:PATH (of several processes PATH.0, PATH.1, …)")
	f.IntVar(&c.Payload, "payload", 13, "bytes in the reply to a request without a body (http1), or behind the clock of a frame (push)")
	f.StringVar(&rate, "rate", "1000", "push: frames a second of each channel")
	f.StringVar(&script.Fault, "fault", "", "push: what befalls every --every-th frame: "+strings.Join(reflect.PushFaults, ", "))
	f.IntVar(&script.Every, "every", 1, "push: see --fault")
	f.DurationVar(&script.Delay, "delay", 0, "push: how long --fault slow holds a frame up")
	f.Uint64Var(&script.Seed, "seed", 1, "push: seed of the distances with --exponential")
	f.BoolVar(&script.Exponential, "exponential", false, "push: random distances between frames")
	f.IntVar(&c.Threads, "threads", 1, "threads that serve the connections")
	f.BoolVar(&c.Spin, "spin", false, "look for requests for a millisecond before sleeping; needs CPUs of its own")
	f.IntVar(&processes, "processes", 1, "processes, each with a port of its own, where one may not open enough files")
	return cmd
}

// reflectHere is the reflector of one process.
func reflectHere(cmd *cobra.Command, c raw.Config) error {
	r, err := raw.Listen(c)
	if err != nil {
		return err
	}
	// Nothing is allocated for a request. A thread beside those that serve waits for the end of standard input.
	runtime.GOMAXPROCS(c.Threads + 1)
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(reflectorMemoryLimit)
	defer context.AfterFunc(cmd.Context(), r.Close)()
	go func() {
		// An error of reading is an end too.
		_, _ = io.Copy(io.Discard, cmd.InOrStdin())
		r.Close()
	}()
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "{\"schema\":1,\"ready\":true,\"addr\":%s,\"pid\":%d}\n", strconv.Quote(r.Addr()), os.Getpid()); err != nil {
		r.Close()
		r.Serve() // to its end
		return fmt.Errorf("printing the ready line: %w", err)
	}
	r.Serve()
	return nil
}

// reflectElsewhere starts a process for each reflector and passes on their ready lines. They end with this one: their
// standard input is a pipe from it, and the kernel kills them when the thread that started them ends, which is this one.
func reflectElsewhere(cmd *cobra.Command, c raw.Config, processes int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	program, err := self()
	if err != nil {
		return err
	}
	children := make([]*reflector, 0, processes)
	defer func() {
		for _, r := range children {
			r.end()
		}
	}()
	for i := range processes {
		one := c
		if strings.HasPrefix(c.Listen, "unix:") {
			one.Listen = fmt.Sprintf("%s.%d", c.Listen, i)
		}
		r, line, err := startReflector(program, one, cmd.ErrOrStderr())
		if err != nil {
			return fmt.Errorf("starting reflector %d of %d: %w", i+1, processes, err)
		}
		children = append(children, r)
		if _, err := io.WriteString(cmd.OutOrStdout(), line); err != nil {
			return fmt.Errorf("printing the ready line: %w", err)
		}
	}
	ended := make(chan struct{})
	go func() {
		// An error of reading is an end too.
		_, _ = io.Copy(io.Discard, cmd.InOrStdin())
		close(ended)
	}()
	select {
	case <-ended:
	case <-cmd.Context().Done():
	}
	return nil
}

// reflector is a child process that ends when its standard input does.
type reflector struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// startReflector starts one and returns it with its ready line. The caller has locked its thread.
func startReflector(program string, c raw.Config, stderr io.Writer) (*reflector, string, error) {
	cmd := exec.Command(program, "reflect", "--protocol", c.Protocol, "--listen", c.Listen,
		"--payload", strconv.Itoa(c.Payload), "--threads", strconv.Itoa(max(c.Threads, 1)), "--spin="+strconv.FormatBool(c.Spin))
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	r := &reflector{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		r.end()
		return nil, "", errors.New("it ended without a ready line")
	}
	return r, line, nil
}

// end ends the process and waits for it: it does nothing that could take long.
func (r *reflector) end() {
	// Closed already, or ended by a signal, is as good.
	_ = r.stdin.Close()
	_ = r.cmd.Wait()
}
