package results

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// ReadingsWriter appends readings to a file, buffered: what is written reaches the disk at the latest with Close. Not for
// concurrent use.
type ReadingsWriter struct {
	f   *os.File
	buf *bufio.Writer
	enc *json.Encoder
}

// NewReadingsWriter makes the file of that path, or goes on at its end.
func NewReadingsWriter(path string) (*ReadingsWriter, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("writing readings: %w", remedied(err, filepath.Dir(path)))
	}
	w := &ReadingsWriter{f: f, buf: bufio.NewWriterSize(f, 64<<10)}
	w.enc = json.NewEncoder(w.buf)
	return w, nil
}

// Write appends one reading. After an error every further Write fails.
func (w *ReadingsWriter) Write(r *Reading) error {
	if err := w.enc.Encode(r); err != nil {
		return fmt.Errorf("writing readings: %w", remedied(err, filepath.Dir(w.f.Name())))
	}
	return nil
}

// Close writes what is buffered and closes the file.
func (w *ReadingsWriter) Close() error {
	if err := errors.Join(w.buf.Flush(), w.f.Close()); err != nil {
		return fmt.Errorf("writing readings: %w", remedied(err, filepath.Dir(w.f.Name())))
	}
	return nil
}

// ReadReadings reads the readings of one trial and returns them in the order of their times. Where the last line is torn off
// it returns those before it, and an error that is ErrTorn.
func ReadReadings(path string) ([]Reading, error) {
	var readings []Reading
	err := eachLine(path, func(no int, line []byte) error {
		var r Reading
		if err := unmarshal(line, &r); err != nil {
			return fmt.Errorf("%s:%d: %w", path, no, err)
		}
		readings = append(readings, r)
		return nil
	})
	slices.SortStableFunc(readings, func(a, b Reading) int { return cmp.Compare(a.TNs, b.TNs) })
	if err != nil {
		err = fmt.Errorf("reading readings: %w", err)
		if !errors.Is(err, ErrTorn) {
			readings = nil
		}
	}
	return readings, err
}
