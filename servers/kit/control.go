package kit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// maxRequestLine bounds a line of the control channel, in bytes; what a pipe takes at once.
const maxRequestLine = 4096

// commands are what the control channel knows.
var commands = []string{"readings", "gc", "free", "profile"}

// request is a line of the control channel.
type request struct {
	ID  json.RawMessage `json:"id"`
	Cmd string          `json:"cmd"`
	// Of profile.
	Kind    string  `json:"kind"`
	Seconds float64 `json:"seconds"`
	Path    string  `json:"path"`
}

// control answers requests. Replies may be written by profiles that end while others are answered.
type control struct {
	readings *readings
	more     map[string]func(line []byte) error // further commands, by name
	line     []byte                             // of a reply to readings, used again
	busy     sync.Mutex

	mu  sync.Mutex // guards out
	out io.Writer
}

func newControl(env *Env, out io.Writer) *control {
	c := &control{readings: newReadings(&env.Counters), out: out}
	c.readings.hub = env.hub
	if env.work.call != nil {
		c.readings.more = env.work.appendCalls
	}
	return c
}

// serve answers one request after the other until the input ends, which is no error. A profile is taken beside.
func (c *control) serve(in io.Reader) error {
	if f, ok := in.(*os.File); ok {
		in = pollable(f)
	}
	lines := bufio.NewReaderSize(in, maxRequestLine)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("reading control channel: line of more than %d bytes", maxRequestLine)
		}
		if err != nil {
			return nil // the end, or a broken pipe, which is one too
		}
		if err := c.handle(bytes.TrimSpace(line)); err != nil {
			return fmt.Errorf("writing control reply: %w", err)
		}
	}
}

// pollable lets a read of a pipe wait in the runtime's poller instead of holding a thread.
func pollable(f *os.File) io.Reader {
	info, err := f.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return f
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return f
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return f
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// The request that is asked ten times a second is known by its bytes, so that answering it allocates nothing.
var readingsBegin, readingsEnd = []byte(`{"cmd":"readings","id":`), []byte(`}`)

func (c *control) handle(line []byte) error {
	if id, ok := bytes.CutPrefix(line, readingsBegin); ok {
		if id, ok = bytes.CutSuffix(id, readingsEnd); ok && isNumber(id) {
			return c.sendReadings(id)
		}
	}
	if len(line) == 0 {
		return nil
	}
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return c.send(nil, fmt.Errorf(`reading request: %w: want a line such as {"id":1,"cmd":"readings"}`, err))
	}
	switch r.Cmd {
	case "readings":
		return c.sendReadings(r.ID)
	case "gc":
		runtime.GC()
		return c.send(r.ID, nil)
	case "free":
		debug.FreeOSMemory()
		return c.send(r.ID, nil)
	case "profile":
		if !c.busy.TryLock() {
			return c.send(r.ID, errors.New("profiling: another profile is under way: wait for its reply"))
		}
		go func() {
			err := profile(r.Kind, r.Seconds, r.Path)
			c.busy.Unlock()
			_ = c.send(r.ID, err) // a broken output shows in the next reply too
		}()
		return nil
	}
	if do := c.more[r.Cmd]; do != nil {
		return c.send(r.ID, do(line))
	}
	known := append(slices.Clone(commands), slices.Sorted(maps.Keys(c.more))...)
	return c.send(r.ID, fmt.Errorf("unknown command %q: want one of %s", r.Cmd, strings.Join(known, ", ")))
}

func isNumber(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// reply is a line that answers every command but readings.
type reply struct {
	ID    json.RawMessage `json:"id"`
	OK    bool            `json:"ok"`
	Error string          `json:"error,omitempty"`
}

func (c *control) send(id json.RawMessage, err error) error {
	r := reply{ID: orNull(id), OK: err == nil}
	if err != nil {
		r.Error = err.Error()
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return c.write(append(line, '\n'))
}

func orNull(id []byte) []byte {
	if len(id) == 0 {
		return []byte("null")
	}
	return id
}

func (c *control) sendReadings(id []byte) error {
	c.line = append(c.line[:0], `{"id":`...)
	c.line = append(c.line, orNull(id)...)
	c.line = c.readings.append(c.line)
	c.line = append(c.line, "}\n"...)
	return c.write(c.line)
}

func (c *control) write(line []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.out.Write(line)
	return err
}
