// Package procfs reads what the Linux kernel tells about processes and the host, cheaply enough to do it ten times a
// second beside a measurement: files stay open and are read again into the same buffers, without allocation. What is
// read once a run (limits, environment) is here too, without that care.
package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Unknown stands for a value that this kernel does not tell.
const Unknown = -1

// tickNs is the unit of CPU times in /proc/stat and /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const tickNs = 10_000_000

// maxFile bounds what is read of one file; /proc/stat of a host with a thousand CPUs stays below.
const maxFile = 4 << 20

// file is an open file of /proc that is read from its beginning again and again. It is not safe for concurrent use.
type file struct {
	path string
	fd   int
	buf  []byte
}

func open(path string, size int) (*file, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "opening", Path: path, Err: err}
	}
	return &file{path: path, fd: fd, buf: make([]byte, size)}, nil
}

// read returns the whole content, valid until the next read. The kernel makes the content at the first byte's read, so
// one that fits the buffer is consistent; the buffer grows where it doesn't.
func (f *file) read() ([]byte, error) {
	n := 0
	for {
		m, err := unix.Pread(f.fd, f.buf[n:], int64(n))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", f.path, err)
		case m == 0:
			return f.buf[:n], nil
		}
		if n += m; n < len(f.buf) {
			continue
		}
		if len(f.buf) >= maxFile {
			return nil, fmt.Errorf("reading %s: longer than %d bytes", f.path, maxFile)
		}
		f.buf = append(f.buf, make([]byte, len(f.buf))...)
	}
}

func (f *file) close() {
	if f != nil && f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// number reads the decimal number at the start of b, after blanks, and returns what follows it. Without a number it
// returns Unknown.
func number(b []byte) (v int64, rest []byte) {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	i := 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		v = v*10 + int64(b[i]-'0')
	}
	if i == 0 {
		return Unknown, b
	}
	return v, b[i:]
}

// skip drops n fields separated by single blanks.
func skip(b []byte, n int) []byte {
	for ; n > 0; n-- {
		i := bytes.IndexByte(b, ' ')
		if i < 0 {
			return nil
		}
		b = b[i+1:]
	}
	return b
}

// labelled returns the number behind the label at the start of a line, as in "VmRSS:     1752 kB"; the label includes
// its colon.
func labelled(b []byte, label string) int64 {
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if len(line) > len(label) && string(line[:len(label)]) == label {
			v, _ := number(line[len(label):])
			return v
		}
	}
	return Unknown
}

func scaled(v, unit int64) int64 {
	if v == Unknown {
		return Unknown
	}
	return v * unit
}
