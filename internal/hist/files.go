package hist

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Files are histogram logs in one directory that are written side by side. One goroutine may use them at a time. A nil
// Files writes nothing. After the first error they write no more.
type Files struct {
	files []*os.File
	logs  []*LogWriter // logs[i] writes to files[i]; none before Start
	// Stored, to be set before Start, leaves the histograms uncompressed, for logs that are read once and soon: a compressor takes
	// 660 KB.
	Stored bool
	err    error
}

// CreateFiles creates the logs. The caller must Close them.
func CreateFiles(dir string, names ...string) (*Files, error) {
	f := &Files{}
	for _, name := range names {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("creating histogram log: %w", err), f.Close())
		}
		f.files = append(f.files, file)
	}
	return f, nil
}

// Start writes the heads. Times of Write count from then on.
func (f *Files) Start(at time.Time) {
	if f == nil {
		return
	}
	enc := &encoder{stored: f.Stored} // one will do: its compressor is large
	for _, file := range f.files {
		var l *LogWriter
		if l, f.err = NewLogWriter(file, at); f.err != nil {
			return
		}
		l.enc = enc
		f.logs = append(f.logs, l)
	}
}

// Write appends histogram h to log i as LogWriter.Write does, unless it is empty.
func (f *Files) Write(i int, tag string, startNs, lengthNs int64, h *Histogram) {
	if f != nil && f.err == nil && h.Count()+h.Outside() > 0 {
		f.err = f.logs[i].Write(tag, startNs, lengthNs, h)
	}
}

// Close closes the files, and returns the first error of writing them.
func (f *Files) Close() error {
	if f == nil {
		return nil
	}
	errs := []error{f.err}
	for _, file := range f.files {
		errs = append(errs, file.Close())
	}
	f.files = nil
	return errors.Join(errs...)
}
