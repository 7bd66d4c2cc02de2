package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Names of the files in a run's directory.
const (
	runFile      = "run.json"
	trialsFile   = "trials.jsonl"
	sessionsFile = "sessions.jsonl"
	trialsDir    = "trials"
	readingsFile = "readings.jsonl"
)

// Dir is the directory of a run, the truth about it. One process writes to it, which holds a lock on it until Close; its
// methods are not for concurrent use.
type Dir struct {
	path string
	held *os.File // the locked file, nil once closed
}

// Create makes the directory of a run below root, which it makes too, locks it, and writes run.json before anything is
// measured. When it returns, both are on disk. It is an error if the directory exists.
func Create(root string, run *Run) (*Dir, error) {
	if run.ID == "" || FileName(run.ID) != run.ID || !filepath.IsLocal(run.ID) {
		return nil, fmt.Errorf("creating run: id %q: want one from NewID", run.ID)
	}
	data, err := json.MarshalIndent(run, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("creating run %s: %w", run.ID, err)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("creating run %s: %w", run.ID, Remedied(err, root))
	}
	d := &Dir{path: filepath.Join(root, run.ID)}
	if err := os.Mkdir(d.path, 0o755); err != nil {
		return nil, fmt.Errorf("creating run %s: %w", run.ID, Remedied(err, root))
	}
	err = errors.Join(
		d.lock(),
		os.Mkdir(filepath.Join(d.path, trialsDir), 0o755),
		writeSynced(filepath.Join(d.path, runFile), append(data, '\n')),
		syncDir(root))
	if err != nil {
		// The directory is our own and a moment old: without run.json it is no run.
		return nil, fmt.Errorf("creating run %s: %w", run.ID, Remedied(errors.Join(err, d.Close(), os.RemoveAll(d.path)), root))
	}
	return d, nil
}

// Latest returns the path of the measured run below root that started last. A directory without run.json is no run, and one
// whose run.json can't be read is taken, so that whoever reads it hears why.
func Latest(root string) (string, error) {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("finding the latest run: %w", err)
	}
	for _, e := range slices.Backward(entries) {
		path := filepath.Join(root, e.Name())
		if _, err := os.Stat(filepath.Join(path, runFile)); !e.IsDir() || err != nil {
			continue
		}
		if run, err := readRun(filepath.Join(path, runFile)); err != nil || run.Purpose == "" {
			return path, nil
		}
	}
	return "", fmt.Errorf("finding the latest run: no run in %s: make one with millrace run", root)
}

// Path is the path of the directory.
func (d *Dir) Path() string { return d.path }

// TrialDir is the path of a trial's own directory, which Append does not make.
func (d *Dir) TrialDir(id string) string { return filepath.Join(d.path, trialsDir, id) }

// Append adds the lines of finished trials to trials.jsonl, in one write, and returns when they are on disk. After an error
// the file is as it was, as far as the disk allows; Load recognises what remains of a torn line.
func (d *Dir) Append(trials ...*Trial) error {
	path := filepath.Join(d.path, trialsFile)
	var ids []string
	var records []any
	for _, t := range trials {
		if err := errors.Join(checkTrialID(t.ID), checkMetrics(t)); err != nil {
			return fmt.Errorf("appending to %s: %w", path, err)
		}
		ids, records = append(ids, t.ID), append(records, t)
	}
	if err := d.appendRecord(trialsFile, records...); err != nil {
		return fmt.Errorf("appending trial %s to %s: %w", strings.Join(ids, ", "), path, err)
	}
	return nil
}

// appendRecord adds a line for each record to a file of the directory, in one write, and returns when they are on disk.
func (d *Dir) appendRecord(name string, records ...any) error {
	var lines []byte
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	return Remedied(appendSynced(filepath.Join(d.path, name), lines), d.path)
}

// appendSynced appends data to the file, which it makes if need be, in one write, and syncs it.
func appendSynced(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		// A line cut off by a full disk would swallow the next one.
		_ = f.Truncate(info.Size())
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if info.Size() == 0 {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

// writeSynced writes a file so that, whatever happens, path either holds all of data or does not exist.
func writeSynced(path string, data []byte) error {
	part := path + ".part"
	if err := appendSynced(part, data); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Remedied adds what to do where a disk is full or may not be written to.
func Remedied(err error, dir string) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w (free space on the file system of %s, or keep results elsewhere)", err, dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w (keep results in a directory that you may write to, instead of %s)", err, dir)
	}
	return err
}
