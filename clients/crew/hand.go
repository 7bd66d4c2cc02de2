package crew

import (
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

	"github.com/millrace/millrace/clients/recording"
)

// hand is a member as its captain sees it. Its process leads a group of its own, so that Ctrl-C in a terminal reaches the captain
// alone.
type hand struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
	once   sync.Once
	gone   chan struct{} // closed when the process is reaped

	// The captain's.
	logs string
	part *recording.Part
	lost string // why; empty if it is not
}

// startHand starts member i. The kernel kills it when the calling thread ends.
func startHand(c Config, i int) (*hand, error) {
	cmd := exec.Command(c.Command[0], c.Command[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stderr = c.Stderr
	cmd.WaitDelay = time.Second // for a descendant that holds standard error
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	h := &hand{name: fmt.Sprintf("process %d of %d", i+1, c.Members), cmd: cmd, gone: make(chan struct{})}
	var err error
	if h.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if h.stdout, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return h, cmd.Start()
}

// keep calls what it is given on one thread, which ends when there is no more: the kernel kills a process when the thread that
// started it ends (golang/go#27505).
func keep(calls <-chan func()) {
	runtime.LockOSThread() // never unlocked
	for call := range calls {
		call()
	}
}

// listen passes on what the member says, and in the end that it is gone.
func (h *hand) listen(words chan<- said) {
	in := json.NewDecoder(h.stdout)
	for {
		var w word
		if err := in.Decode(&w); err != nil {
			if err != io.EOF {
				h.kill() // it says what nobody understands
				err = fmt.Errorf("reading what it says: %w", err)
			}
			// Only now: waiting takes a thread.
			if dead := h.cmd.Wait(); err == io.EOF {
				if err = dead; err == nil {
					err = errors.New("it ended early")
				}
			}
			close(h.gone)
			words <- said{hand: h, err: err}
			return
		}
		words <- said{hand: h, word: w}
	}
}

// orderWithin is how long a member may leave an order in its pipe, of which a plan may be larger.
const orderWithin = 5 * time.Second

// order writes an order. A member that is gone does not get it, which its end tells; one that does not read is ended.
func (h *hand) order(o order) {
	if pipe, ok := h.stdin.(*os.File); ok {
		_ = pipe.SetWriteDeadline(time.Now().Add(orderWithin))
	}
	if _, err := h.stdin.Write(encodeLine(o)); errors.Is(err, os.ErrDeadlineExceeded) {
		h.kill()
	}
}

// quit tells the member to end with what it has.
func (h *hand) quit() { h.once.Do(func() { _ = h.stdin.Close() }) }

// kill ends the process at once.
func (h *hand) kill() { _ = h.cmd.Process.Kill() }
