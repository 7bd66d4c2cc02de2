package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lineMax bounds a line of a server's standard output and what is kept of its standard error, in bytes.
const (
	lineMax = 1 << 20
	tailMax = 2 << 10
)

// ExitLimit is how long a server may take to end after SIGTERM or the end of its standard input, by the contract.
const ExitLimit = 5 * time.Second

// Process is a program that a case started. It owns the process group and ends with Kill, with its standard input,
// which the suite holds, or with the suite. Safe for concurrent use.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	Addr  string    // empty before it is ready
	Ready ReadyLine // of a server that keeps the contract

	patience time.Duration // for a reply of the control channel

	first chan struct{} // closed when line holds the first line
	done  chan struct{} // closed after the program ended and its output was read

	mu      sync.Mutex
	line    []byte // the first of standard output
	part    []byte // of a line of standard output that has no end yet
	tail    []byte // the end of standard error
	stdout  []byte // the beginning of standard output
	nextID  int
	pending map[int]chan []byte
	err     error // of Wait
}

// Spawn starts the program, with variables of its own beside this process's environment. A thread of its own waits for it, because Pdeathsig fires when the starting thread ends.
func Spawn(command, env []string) (*Process, error) {
	p := &Process{
		cmd:     exec.Command(command[0], command[1:]...),
		first:   make(chan struct{}),
		done:    make(chan struct{}),
		pending: make(map[int]chan []byte),
	}
	if len(env) > 0 {
		p.cmd.Env = append(os.Environ(), env...)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Stdout = writerFunc(p.readStdout)
	p.cmd.Stderr = writerFunc(p.readStderr)
	p.cmd.WaitDelay = 500 * time.Millisecond
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("opening standard input of %s: %w", command[0], err)
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		_ = p.stdin.Close()
		return nil, err
	}
	return p, nil
}

// StartServer starts a variant as the contract says and waits for its ready line. The server has the patience for that and
// for every reply of its control channel.
func StartServer(ctx context.Context, patience time.Duration, t Target, args ...string) (*Process, error) {
	p, err := Spawn(t.Serve("127.0.0.1:0", args...), t.Env)
	if err != nil {
		return nil, err
	}
	p.patience = patience
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-p.first:
	case <-p.done:
		how, _ := p.Ended()
		return nil, fmt.Errorf("ended before it was ready: %s", how)
	case <-ctx.Done():
		p.Kill()
		return nil, errors.New("no ready line in time")
	}
	if err := json.Unmarshal(p.line, &p.Ready); err != nil {
		p.Kill()
		return nil, fmt.Errorf("reading ready line %.100q: %w", p.line, err)
	}
	p.Addr = p.Ready.Addr
	return p, nil
}

// StartForeign starts the command, if there is one, and waits, at most the patience, until the address accepts connections.
func StartForeign(ctx context.Context, patience time.Duration, t Target) (*Process, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p := &Process{done: make(chan struct{})}
	if len(t.Command) > 0 {
		var err error
		if p, err = Spawn(append(slices.Clone(t.Command), t.Args...), t.Env); err != nil {
			return nil, err
		}
	}
	p.Addr = t.Addr
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Addr)
		if err == nil {
			return p, conn.Close()
		}
		select {
		case <-p.done:
			how, _ := p.Ended()
			return nil, fmt.Errorf("ended before it accepted connections at %s: %s", t.Addr, how)
		case <-ctx.Done():
			p.Kill()
			return nil, fmt.Errorf("no connection to %s: %w", t.Addr, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Ended says whether the program has ended and how, with the end of what it wrote to standard error.
func (p *Process) Ended() (how string, ended bool) {
	select {
	case <-p.done:
	default:
		return "", false
	}
	how = "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	if text := strings.TrimSpace(p.Stderr()); text != "" {
		how += ": " + text
	}
	return how, true
}

// Status waits for the end of the program and returns its exit status, −1 after a signal.
func (p *Process) Status(limit time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("still running after %v", limit)
	}
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process alone.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// EndInput ends the standard input of the process.
func (p *Process) EndInput() error { return p.stdin.Close() }

// Kill ends the process group and waits for it; it does nothing to a server that ran already before the suite.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	_ = p.stdin.Close()
}

// Answer is a reply of the control channel to come.
type Answer struct {
	p       *Process
	id      int
	command string
	line    chan []byte
}

// Ask sends one request over the control channel.
func (p *Process) Ask(command string, fields map[string]any) (*Answer, error) {
	line := map[string]any{commandKey: command}
	maps.Copy(line, fields)
	p.mu.Lock()
	p.nextID++
	answer := &Answer{p: p, id: p.nextID, command: command, line: make(chan []byte, 1)}
	p.pending[answer.id] = answer.line
	p.mu.Unlock()
	line["id"] = answer.id
	data, err := json.Marshal(line)
	if err != nil {
		return nil, fmt.Errorf("writing control request %s: %w", command, err)
	}
	if _, err := p.stdin.Write(append(data, '\n')); err != nil {
		return nil, fmt.Errorf("sending control request %s: %w", command, err)
	}
	return answer, nil
}

// Come reports whether the reply is there.
func (w *Answer) Come() bool { return len(w.line) > 0 }

// Wait returns the reply, an object with the same id, once.
func (w *Answer) Wait(ctx context.Context) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, w.p.patience)
	defer cancel()
	select {
	case line := <-w.line:
		var reply map[string]any
		if err := json.Unmarshal(line, &reply); err != nil {
			return nil, fmt.Errorf("reading control reply to %s: %w", w.command, err)
		}
		return reply, nil
	case <-w.p.done:
		how, _ := w.p.Ended()
		return nil, fmt.Errorf("waiting for control reply to %s: the server ended: %s", w.command, how)
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for control reply to %s: none with id %d in time", w.command, w.id)
	}
}

// Call is Ask and Wait.
func (p *Process) Call(ctx context.Context, command string, fields map[string]any) (map[string]any, error) {
	answer, err := p.Ask(command, fields)
	if err != nil {
		return nil, err
	}
	return answer.Wait(ctx)
}

// Command is Call where the reply must not be an error.
func (p *Process) Command(ctx context.Context, command string, fields map[string]any) error {
	reply, err := p.Call(ctx, command, fields)
	if err != nil {
		return err
	}
	return Refusal(command, reply)
}

// Refusal is the error that a control reply holds, or nil.
func Refusal(command string, reply map[string]any) error {
	if cause, found := reply["error"]; found && cause != "" {
		return fmt.Errorf("%s: %v", command, cause)
	}
	return nil
}

// Files counts the open files of the process, from outside.
func (p *Process) Files() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(entries), err
}

func (p *Process) readStdout(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stdout = append(p.stdout, data[:min(len(data), lineMax-len(p.stdout))]...)
	p.part = append(p.part, data...)
	for {
		line, rest, whole := bytes.Cut(p.part, []byte("\n"))
		if !whole {
			break
		}
		p.dispatch(bytes.Clone(line))
		p.part = rest
	}
	if len(p.part) > lineMax {
		p.part = nil
	}
}

// dispatch takes one line: the first is the ready line, the others are replies of the control channel.
func (p *Process) dispatch(line []byte) {
	if p.line == nil {
		p.line = append(make([]byte, 0, len(line)+1), line...)
		close(p.first)
		return
	}
	var reply struct{ ID int }
	if json.Unmarshal(line, &reply) != nil {
		return
	}
	if answer := p.pending[reply.ID]; answer != nil {
		delete(p.pending, reply.ID)
		answer <- line
	}
}

func (p *Process) readStderr(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail = append(p.tail, data...)
	p.tail = p.tail[max(0, len(p.tail)-tailMax):]
}

func (p *Process) Stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.tail)
}

// writerFunc makes a writer of a function that takes everything.
type writerFunc func([]byte)

func (f writerFunc) Write(data []byte) (int, error) {
	f(data)
	return len(data), nil
}
