package sut

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
)

// Limits of a server's log.
const (
	maxLogBytes  = 8 << 20 // of server.log; the rest is counted
	tailLines    = 20      // kept for messages
	maxTailBytes = 1024    // of each of them
)

// crashMarks are what a goroutine's panic leaves in a log, recovered or not, at a line's begin or behind a time and a
// prefix, and what nginx writes where it fails.
var crashMarks = [][]byte{
	[]byte("panic:"), // the runtime, and the pools of gnet and ants
	[]byte("fatal error:"),
	[]byte("panic serving "), // net/http
	[]byte("panic in net/http handler:"),
	[]byte("panic in pool:"), // netpoll's pool
	// nginx: a worker that a signal ended, connections beyond worker_connections, and a start that fails.
	[]byte("[alert]"),
	[]byte("[emerg]"),
	[]byte("exited on signal"),
	[]byte("worker_connections are not enough"), // then it closes idle ones, too
}

// ServerError says what went wrong with a server, with the last lines that it wrote.
type ServerError struct {
	Doing  string // "starting server"
	Name   string
	Reason string
	Log    []string
	// Foreign is true of a program that is not ours: it has none of our flags.
	Foreign bool
}

func (e *ServerError) Error() string {
	text := fmt.Sprintf("%s %s: %s", e.Doing, e.Name, e.Reason)
	if n := len(e.Log); n > 0 {
		return fmt.Sprintf("%s; the last of %d log lines: %s", text, n, e.Log[n-1])
	}
	if e.Foreign {
		return text + "; it wrote nothing: run its command by hand to see why, and let it log to standard error"
	}
	return text + "; it wrote nothing: run it by hand with --control=none to see why"
}

// Details is {"log": [...]}, for the way from an agent to the coordinator.
func (e *ServerError) Details() json.RawMessage {
	data, err := json.Marshal(map[string][]string{"log": e.Log})
	if err != nil {
		panic("encoding log lines: " + err.Error()) // strings always encode
	}
	return data
}

// serverLog keeps what a server writes: up to maxLogBytes in a file, and the last lines in memory. It is safe for
// concurrent use.
type serverLog struct {
	mu      sync.Mutex
	file    *os.File // nil keeps the last lines only
	written int64
	dropped int64
	last    []string
	crashed string // the first line that tells of a crash
}

// openLog creates the log file; an empty path keeps the last lines only.
func openLog(path string) (*serverLog, error) {
	if path == "" {
		return &serverLog{}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("keeping the server's log: %w", err)
	}
	return &serverLog{file: f}, nil
}

// copy writes every line of r to the log until r ends.
func (l *serverLog) copy(r io.Reader) {
	in := bufio.NewReaderSize(r, maxLineBytes)
	for {
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			l.write(line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (l *serverLog) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == tailLines {
		l.last = append(l.last[:0], l.last[1:]...)
	}
	text := strings.ToValidUTF8(strings.TrimRight(string(line[:min(len(line), maxTailBytes)]), "\r\n"), "\uFFFD")
	l.last = append(l.last, text)
	if l.crashed == "" && tellsCrash(line) {
		l.crashed = text
	}
	if l.file == nil {
		return
	}
	if l.written+int64(len(line)) > maxLogBytes || l.dropped > 0 {
		l.dropped += int64(len(line))
		return
	}
	n, err := l.file.Write(line)
	l.written += int64(n)
	if err != nil {
		l.dropped += int64(len(line) - n)
	}
}

func tellsCrash(line []byte) bool {
	return slices.ContainsFunc(crashMarks, func(mark []byte) bool {
		i := bytes.Index(line, mark)
		return i == 0 || i > 0 && (line[i-1] == ' ' || line[i-1] == '\t')
	})
}

// tail returns the last lines, behind the one that tells of a crash: its stack may be longer than they are.
func (l *serverLog) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crashed == "" || slices.Contains(l.last, l.crashed) {
		return slices.Clone(l.last)
	}
	return append([]string{l.crashed}, l.last...)
}

// crash returns the first line that tells of a crash, or "".
func (l *serverLog) crash() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.crashed
}

// close ends the file with a note of what was dropped, and returns how many bytes that were.
func (l *serverLog) close() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		if l.dropped > 0 {
			fmt.Fprintf(l.file, "\n[%d more bytes were dropped: the log is limited to %d]\n", l.dropped, maxLogBytes)
		}
		l.file.Close()
		l.file = nil
	}
	return l.dropped
}
