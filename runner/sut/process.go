package sut

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"golang.org/x/sys/unix"
)

// Limits on what a server may take: time and space.
const (
	readyWithin  = 10 * time.Second // from the start to the ready line, unless the command says otherwise
	stopWithin   = 5 * time.Second  // from SIGTERM to the end, by the server contract
	killWithin   = 5 * time.Second  // from SIGKILL to the end; longer means that the kernel holds it
	drainWithin  = time.Second      // for what the server wrote last, after its end
	maxLineBytes = 64 << 10         // of standard output
)

// Command says how to start a server program.
type Command struct {
	Name string // for messages: the variant
	Path string
	Args []string
	Env  []string // nil inherits the runner's
	// CPUs that the server runs on, set before exec so that runtimes size themselves by it; empty leaves them alone.
	CPUs []int
	Dir  string
	// LogPath is the file that gets the server's standard error and whatever is not a reply on its standard output;
	// empty keeps the last lines only.
	LogPath string
	// OnThread, where it is set, is called on the thread that starts the program, just before. It must not change the thread.
	OnThread func()
	// ReadyWithin bounds the wait for the ready line; zero means 10 s.
	ReadyWithin time.Duration
	// Addr, where it is set, makes it a foreign server: it is ready when it accepts connections there, prints no ready line and
	// has no control channel.
	Addr string
	// StopBy is the signal that asks it to stop; zero means SIGTERM.
	StopBy syscall.Signal
}

// readyLine is what a server prints when it accepts connections.
type readyLine struct {
	Schema int    `json:"schema"`
	Ready  bool   `json:"ready"`
	Addr   string `json:"addr"` // host:port
	PID    int    `json:"pid"`
}

// Exit is how a server ended.
type Exit struct {
	Code   int            // −1 if a signal ended it
	Signal syscall.Signal // 0 unless a signal ended it
	Killed bool           // Stop had to kill it
	// LogDropped is how many bytes of its log were dropped beyond the limit.
	LogDropped int64
}

// Clean reports whether the server ended by itself with status 0.
func (e Exit) Clean() bool { return e.Code == 0 && !e.Killed }

func (e Exit) String() string {
	switch {
	case e.Killed:
		return "killed: it did not stop when asked"
	case e.Signal != 0:
		return "ended by signal " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Process is a running server program. It lives in its own process group and ends with the runner, however that ends.
// Its methods are safe for concurrent use. Whoever starts it calls Stop.
type Process struct {
	command Command
	addr    string
	cmd     *exec.Cmd
	pid     int
	log     *serverLog
	stdin   *os.File
	ready   chan error // one value: nil when addr is set
	guard   *guard     // nil of a server that has no children
	done    chan struct{}
	exit    Exit // valid when done is closed

	mu      sync.Mutex
	reaping bool // the pid may belong to somebody else
	killed  bool
	lastID  int64
	pending map[int64]chan json.RawMessage
}

// StartProcess starts a server and returns when it accepts connections. If it does not get there, it is no longer
// running when the error returns; a ServerError has its last log lines. A cancelled ctx gives the start up.
func StartProcess(ctx context.Context, c Command) (*Process, error) {
	p := &Process{
		command: c,
		ready:   make(chan error, 1),
		done:    make(chan struct{}),
		pending: make(map[int64]chan json.RawMessage),
	}
	var err error
	if p.log, err = openLog(c.LogPath); err != nil {
		return nil, fmt.Errorf("starting server %s: %w", c.Name, err)
	}
	if err := p.launch(); err != nil {
		p.log.close()
		remedy := "build the servers with make build, and see"
		if p.isForeign() {
			remedy = "see"
		}
		return nil, fmt.Errorf("starting server %s: %w: %s that %s can be executed", c.Name, err, remedy, c.Path)
	}
	within := c.ReadyWithin
	if within <= 0 {
		within = readyWithin
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	var reason string
	select {
	case err = <-p.ready:
		if err == nil {
			return p, nil
		}
		reason = err.Error()
		_, _ = p.await(drainWithin) // its exit status and last words, if it is about to end
	case <-limit.C:
		reason = fmt.Sprintf("%s within %v", p.awaited(), within)
	case <-ctx.Done():
		reason = ctx.Err().Error()
	}
	p.kill()
	exit, err := p.await(killWithin)
	if err == nil && exit.Signal != syscall.SIGKILL {
		reason += " (" + exit.String() + ")"
	}
	return nil, &ServerError{Doing: "starting server", Name: c.Name, Reason: reason, Log: p.log.tail(), Foreign: p.isForeign()}
}

// Addr is the host:port at which the server accepts connections.
func (p *Process) Addr() string { return p.addr }

// PID is the server's process id; it stays the server's until Done.
func (p *Process) PID() int { return p.pid }

// Done is closed when the server has ended and all it wrote is in the log.
func (p *Process) Done() <-chan struct{} { return p.done }

// ended reports whether Done is closed.
func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Failure makes an error of what the server did, with its last lines: the reason, and how it ended where it has.
func (p *Process) Failure(reason string) error {
	if p.ended() {
		reason += " (" + p.exit.String() + ")"
	}
	return &ServerError{Doing: "running server", Name: p.command.Name, Reason: reason, Log: p.log.tail(), Foreign: p.isForeign()}
}

// LogTail returns the last lines that the server wrote, beside its replies; the one of Crashed comes first where it is
// older than they are.
func (p *Process) LogTail() []string { return p.log.tail() }

// Crashed returns the first line of the server's log that tells of a crash, of the whole or of a goroutine, or "". All
// lines are looked at, those beyond the log's limit too, and it is complete when Done is closed.
func (p *Process) Crashed() string { return p.log.crash() }

// launch starts the program with its three pipes, and the goroutines that serve them until it ends.
func (p *Process) launch() error {
	c := p.command
	p.cmd = &exec.Cmd{Path: c.Path, Args: append([]string{c.Path}, c.Args...), Env: c.Env, Dir: c.Dir}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var ours, theirs [3]*os.File
	closeAll := func(files [3]*os.File) {
		for _, f := range files {
			f.Close()
		}
	}
	defer func() { closeAll(theirs) }()
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours)
			return err
		}
		if ours[i], theirs[i] = r, w; i == 0 {
			ours[i], theirs[i] = w, r
		}
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	p.stdin = ours[0]
	started := make(chan error)
	go p.own(started, ours)
	if err := <-started; err != nil {
		closeAll(ours)
		return err
	}
	return nil
}

// own starts the program, waits for its end and reaps it, all on one locked thread: Pdeathsig fires when the thread
// that started the program ends (golang/go#27505), and the program inherits that thread's CPUs.
func (p *Process) own(started chan<- error, pipes [3]*os.File) {
	runtime.LockOSThread()
	if p.command.OnThread != nil {
		p.command.OnThread()
	}
	restored, err := p.startOnCPUs()
	if restored {
		defer runtime.UnlockOSThread() // else the thread ends here
	}
	if err != nil {
		started <- err
		return
	}
	p.pid = p.cmd.Process.Pid
	var readers sync.WaitGroup
	if p.isForeign() {
		if p.guard, err = watchOver(p.pid); err != nil {
			p.log.write([]byte("its children would outlive a runner that is killed: " + err.Error() + "\n"))
		}
		readers.Go(func() { p.log.copy(pipes[1]) })
		go p.awaitConnection()
	} else {
		readers.Go(func() { p.readReplies(pipes[1]) })
	}
	readers.Go(func() { p.log.copy(pipes[2]) })
	started <- nil

	// Wait without reaping first: as long as the pid is ours, so is the process group.
	for errors.Is(unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	p.mu.Lock()
	p.reaping = true
	unix.Kill(-p.pid, unix.SIGKILL)
	killed := p.killed
	p.mu.Unlock()
	p.guard.release()
	_ = p.cmd.Wait() // its result is in ProcessState

	for _, f := range pipes[1:] {
		f.SetReadDeadline(time.Now().Add(drainWithin))
	}
	readers.Wait()
	for _, f := range pipes {
		f.Close()
	}
	p.exit = Exit{Code: p.cmd.ProcessState.ExitCode(), LogDropped: p.log.close()}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.exit.Signal = status.Signal()
		p.exit.Killed = killed && p.exit.Signal == syscall.SIGKILL
	}
	close(p.done)
}

// startOnCPUs starts the program from this thread while it has the program's CPUs, and tells whether the thread has
// its own CPUs back.
func (p *Process) startOnCPUs() (restored bool, err error) {
	if len(p.command.CPUs) == 0 {
		return true, p.cmd.Start()
	}
	before, err := procfs.Affinity()
	if err != nil {
		return true, err
	}
	if err := procfs.SetAffinity(p.command.CPUs); err != nil {
		return true, err
	}
	err = p.cmd.Start()
	return procfs.SetAffinity(before) == nil, err
}

// readReplies reads standard output: the ready line, then replies. Everything else goes to the log.
func (p *Process) readReplies(stdout io.Reader) {
	in := bufio.NewReaderSize(stdout, maxLineBytes)
	var first readyLine
	line, err := in.ReadSlice('\n')
	switch {
	case len(line) == 0 && err != nil:
		p.ready <- errors.New("it ended without a ready line")
	case json.Unmarshal(line, &first) != nil || !first.Ready || first.Addr == "":
		p.log.write(line)
		p.ready <- errors.New(`its first line of output is no ready line: want {"schema":1,"ready":true,"addr":"HOST:PORT","pid":PID}`)
	default:
		p.addr = first.Addr
		p.ready <- nil
	}
	for err == nil || errors.Is(err, bufio.ErrBufferFull) {
		if line, err = in.ReadSlice('\n'); len(line) > 0 && !p.deliver(line) {
			p.log.write(line)
		}
	}
}

// Stop asks the server to stop, kills its process group when it is still there after 5 s or when ctx ends, and tells
// how it ended. It may be called more than once, and of a server that has ended it tells the same.
func (p *Process) Stop(ctx context.Context) Exit {
	_ = p.cmd.Process.Signal(cmp.Or(p.command.StopBy, syscall.SIGTERM))
	grace := time.NewTimer(stopWithin)
	defer grace.Stop()
	select {
	case <-p.done:
		return p.exit
	case <-grace.C:
	case <-ctx.Done():
	}
	p.kill()
	exit, err := p.await(killWithin)
	if err != nil {
		return Exit{Code: -1, Signal: syscall.SIGKILL, Killed: true}
	}
	return exit
}

// kill ends the process group, unless the server has been reaped and its number may be somebody else's.
func (p *Process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaping {
		p.killed = true
		unix.Kill(-p.pid, unix.SIGKILL)
	}
}

// await waits for the end of the server.
func (p *Process) await(within time.Duration) (Exit, error) {
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case <-p.done:
		return p.exit, nil
	case <-limit.C:
		return Exit{}, fmt.Errorf("stopping server %s: process %d is still there %v after SIGKILL", p.command.Name, p.pid, within)
	}
}
