package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"golang.org/x/sys/unix"
)

// Agent says how to start one agent process.
type Agent struct {
	Role    string   // one of Roles
	Command []string // path and arguments of a program that calls ServeAgent
	// CPUs that the process may run on, set before exec so that its runtime sizes itself by them. Empty: all of ours.
	CPUs []int
	// Nice is the wanted priority, −20 to 19. Without the right to it the agent runs at ours; see AgentInfo.Nice.
	Nice int
	Env  []string // added to ours, KEY=value
	// Stderr gets the agent's standard error; nil discards it. Writes come from another goroutine.
	Stderr io.Writer
}

func (a Agent) validate() error {
	if err := protocol.CheckRole(a.Role); err != nil {
		return err
	}
	if len(a.Command) == 0 {
		return fmt.Errorf("command of the %s agent: empty, want a path and arguments", a.Role)
	}
	if a.Nice < -20 || a.Nice > 19 {
		return fmt.Errorf("nice %d of the %s agent: want -20 to 19", a.Nice, a.Role)
	}
	for _, cpu := range a.CPUs {
		if cpu < 0 || cpu >= 1024 {
			return fmt.Errorf("cpu %d of the %s agent: want 0 to 1023", cpu, a.Role)
		}
	}
	return nil
}

// process is an agent's process, owned by its handle: it leads its own process group, so that Ctrl-C in a terminal
// reaches the coordinator alone, it is killed when the coordinator dies, and its group is killed when it ends.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser // the life line
	log    *tail
	nice   int           // as it got it
	exited chan struct{} // closed when the process is reaped
	err    error         // of the exit; read after exited
	told   atomic.Bool   // to end

	mu     sync.Mutex
	reaped bool // from then on the process id may belong to somebody else
}

// startProcess starts a and writes the greeting to its standard input.
func startProcess(a Agent, g protocol.Greeting) (*process, error) {
	line, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(a.Command[0], a.Command[1:]...)
	p := &process{cmd: cmd, log: &tail{to: a.Stderr}, exited: make(chan struct{})}
	cmd.Env = append(os.Environ(), a.Env...)
	cmd.Stderr = p.log
	cmd.WaitDelay = time.Second // for a descendant that left the group and holds standard error
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("opening the life line: %w", err)
	}
	started := make(chan error, 1)
	go p.own(a, started)
	if err := <-started; err != nil {
		return nil, err
	}
	// A broken pipe means that the process has ended, which its owner learns with the reason.
	_, _ = p.stdin.Write(append(line, '\n'))
	return p, nil
}

// own starts the process and waits for its end, all on one thread: Pdeathsig fires when the thread that forked ends
// (golang/go#27505), and the child inherits that thread's affinity and priority. The thread is never unlocked, so it ends
// with this goroutine and hands its affinity to nobody; the runtime does not clone new threads from a locked one.
func (p *process) own(a Agent, started chan<- error) {
	runtime.LockOSThread()
	if len(a.CPUs) > 0 {
		var set unix.CPUSet
		for _, cpu := range a.CPUs {
			set.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			started <- fmt.Errorf("setting the affinity to CPUs %v: %w", a.CPUs, err)
			return
		}
	}
	if a.Nice != 0 {
		// Refused without CAP_SYS_NICE; what it got is read back.
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, a.Nice)
	}
	if v, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		p.nice = 20 - v // the system call answers 20 − nice
	}
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	p.killGroup()
	p.reaped = true
	p.mu.Unlock()
	p.err = p.cmd.Wait()
	close(p.exited)
}

// killGroup may be called before the leader is reaped only: until then its id can't be used again.
func (p *process) killGroup() { _ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) }

// kill ends the process and its group at once.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.killGroup()
	}
}

// end closes the life line, waits for the process, and kills it after closeWithin.
func (p *process) end() error {
	p.told.Store(true)
	_ = p.stdin.Close() // closed already where the process is gone
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
	}
	p.kill()
	<-p.exited
	return fmt.Errorf("ending process %d: still there %v after its standard input closed, killed", p.cmd.Process.Pid, closeWithin)
}

// lines are the last ones that the process wrote to standard error.
func (p *process) lines() []string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	text := strings.TrimSpace(string(bytes.ToValidUTF8(p.log.kept, []byte("?"))))
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
