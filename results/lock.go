package results

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile names the process that writes to a run. It stays behind; what counts is the kernel's lock on it, which ends with
// its holder.
const lockFile = "run.lock"

// lock takes the directory for writing by this process, until Close.
func (d *Dir) lock() error {
	f, err := os.OpenFile(filepath.Join(d.path, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return Remedied(err, d.path)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		return fmt.Errorf("process %s is writing to it: wait until that has ended, or end it", strings.TrimSpace(string(holder)))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close())
	}
	d.held = f
	return nil
}

// Close lets another process write to the directory. It may be called more than once.
func (d *Dir) Close() error {
	if d.held == nil {
		return nil
	}
	f := d.held
	d.held = nil
	return f.Close()
}

// Open takes the directory of a run for writing again and reads it as Load does. Lines that a crash tore off are cut from
// their files first and kept beside them, in a file whose name ends in .torn. It is an error if a process writes to it.
func Open(path string) (*Dir, *Result, error) {
	if _, err := readRun(filepath.Join(path, runFile)); err != nil { // before anything of a foreign directory is touched
		return nil, nil, err
	}
	d := &Dir{path: path}
	if err := d.lock(); err != nil {
		return nil, nil, fmt.Errorf("opening run %s: %w", path, err)
	}
	for _, name := range []string{trialsFile, sessionsFile} {
		if err := cutTorn(filepath.Join(path, name)); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("opening run %s: cutting off a torn line: %w", path, err), d.Close())
		}
	}
	res, err := Load(path)
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return d, res, nil
}

// cutTorn moves what follows the last whole line of a file to the end of the file with .torn behind its name.
func cutTorn(path string) error {
	whole := int64(0)
	err := eachLine(path, func(_ int, line []byte) error {
		whole += int64(len(line)) + 1
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !errors.Is(err, ErrTorn) {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	tail, err := io.ReadAll(io.NewSectionReader(f, whole, maxRecordBytes))
	if err != nil {
		return err
	}
	if err := appendSynced(path+tornSuffix, append(tail, '\n')); err != nil {
		return err
	}
	if err := f.Truncate(whole); err != nil {
		return err
	}
	return f.Sync()
}

// tornSuffix ends the names of the files that hold lines a crash tore off.
const tornSuffix = ".torn"

// warnOfTorn tells of lines that were cut off when the run was resumed.
func (r *Result) warnOfTorn() {
	for _, name := range []string{trialsFile, sessionsFile} {
		if _, err := os.Stat(filepath.Join(r.Path, name+tornSuffix)); err == nil {
			r.Warnings = append(r.Warnings, fmt.Sprintf("a line that a crash tore off %s was cut when the run was resumed; %s holds it", name, name+tornSuffix))
		}
	}
}

// SetAside renames the directory of a trial that is to be run again, if there is one: its files stay, under the first free
// of the names ID.old1, ID.old2, ….
func (d *Dir) SetAside(id string) error {
	from := d.TrialDir(id)
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for i := 1; ; i++ {
		to := fmt.Sprintf("%s.old%d", from, i)
		if _, err := os.Stat(to); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(from, to)
		}
	}
}
