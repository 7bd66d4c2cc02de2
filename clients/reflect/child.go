package reflect

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"

	"github.com/millrace/millrace/internal/procfs"
)

// order is a line to a child: start a reflector, tell its counts, or close it.
type order struct {
	Start  *Script `json:"start,omitempty"`
	Counts int     `json:"counts,omitempty"` // the number of a reflector, from 1
	Close  int     `json:"close,omitempty"`
}

// answer is the child's line to an order. The first line of all is an empty one: it is ready.
type answer struct {
	Number int    `json:"number,omitempty"` // of the reflector started
	URL    string `json:"url,omitempty"`
	Counts Counts `json:"counts,omitzero"`
	Error  string `json:"error,omitempty"`
}

// Serve is the life of a child process: it runs reflectors as told by in, one JSON object a line, until that ends. So it
// can't outlive its parent.
func Serve(in io.Reader, out io.Writer) error {
	reply := json.NewEncoder(out)
	orders := json.NewDecoder(in)
	running := map[int]*Reflector{}
	defer func() {
		for _, r := range running {
			_ = r.Close() // it has no errors
		}
	}()
	if err := reply.Encode(answer{}); err != nil {
		return fmt.Errorf("answering the parent: %w", err)
	}
	for number := 0; ; {
		var o order
		if err := orders.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading an order: %w", err)
		}
		var a answer
		var err error
		r := running[max(o.Counts, o.Close)]
		switch {
		case o.Start != nil:
			number++
			if r, err = Start(*o.Start); err == nil {
				running[number] = r
				a = answer{Number: number, URL: r.URL()}
			}
		case r == nil:
			err = fmt.Errorf("no reflector of number %d", max(o.Counts, o.Close))
		case o.Counts > 0:
			a.Counts, err = r.Counts()
		default:
			delete(running, o.Close)
			err = r.Close()
		}
		if err != nil {
			a.Error = err.Error()
		}
		if err := reply.Encode(a); err != nil {
			return fmt.Errorf("answering the parent: %w", err)
		}
	}
}

// Child is a process that runs reflectors, apart from the client that is measured. Its methods may be called by any
// goroutine.
type Child struct {
	mu    sync.Mutex
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *json.Decoder
	to    *json.Encoder
}

// StartChild starts a program that calls Serve with its standard input and output, on these CPUs (none: all of ours), and
// waits until it is ready. Its standard error goes to errs.
func StartChild(command []string, cpus []int, errs io.Writer) (*Child, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the reflectors' process: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the reflectors' process: %w", err)
	}
	started := make(chan error)
	go func() {
		// Set before exec, so that the child's runtime sizes itself by it. Never unlocked: the thread ends with this
		// goroutine and hands its affinity to nobody.
		runtime.LockOSThread()
		if len(cpus) > 0 {
			if err := procfs.SetAffinity(cpus); err != nil {
				started <- err
				return
			}
		}
		started <- cmd.Start()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting the reflectors' process: %w", err)
	}
	c := &Child{cmd: cmd, stdin: stdin, out: json.NewDecoder(bufio.NewReader(stdout)), to: json.NewEncoder(stdin)}
	var ready answer
	if err := c.out.Decode(&ready); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for the reflectors' process: %w", err), c.Close())
	}
	return c, nil
}

// ask sends an order and waits for its answer.
func (c *Child) ask(o order) (answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var a answer
	err := c.to.Encode(o)
	if err == nil {
		err = c.out.Decode(&a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		return a, fmt.Errorf("asking the reflectors' process: %w", err)
	}
	return a, nil
}

// Start starts a reflector in the child.
func (c *Child) Start(s Script) (*Remote, error) {
	a, err := c.ask(order{Start: &s})
	if err != nil {
		return nil, err
	}
	return &Remote{c, a.Number, a.URL}, nil
}

// Close ends the process, with all reflectors in it, and waits for its end.
func (c *Child) Close() error {
	_ = c.stdin.Close() // it is closed where the child is gone
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("ending the reflectors' process: %w", err)
	}
	return nil
}

// Remote is a reflector in a child.
type Remote struct {
	child  *Child
	number int
	url    string
}

// URL is where the reflector answers.
func (r *Remote) URL() string { return r.url }

// Counts is what it has counted so far.
func (r *Remote) Counts() (Counts, error) {
	a, err := r.child.ask(order{Counts: r.number})
	return a.Counts, err
}

// Process is the id of the child.
func (r *Remote) Process() int { return r.child.cmd.Process.Pid }

// Close stops the reflector; its process goes on.
func (r *Remote) Close() error {
	_, err := r.child.ask(order{Close: r.number})
	return err
}
