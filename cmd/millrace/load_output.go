package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// output is a file that is written when a load is over: until then an older one of that name stays as it is, whatever happens
// to the load.
type output struct {
	flag, path string
	mode       fs.FileMode
	// inPlace is set where nothing can or may take the file's place: a pipe, a device, or a file in a folder that takes no other.
	inPlace bool
}

// newOutput finds out early that a file can't be written: a wrong path must not cost a measurement. It leaves no file behind.
func newOutput(flag, path string) (*output, error) {
	o := &output{flag: flag, path: path, mode: 0o644}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		o.path = target
	}
	info, err := os.Stat(o.path)
	switch {
	case err == nil && info.IsDir():
		return nil, o.refuse(unix.EISDIR)
	case err == nil:
		if err := unix.Access(o.path, unix.W_OK); err != nil {
			return nil, o.refuse(err)
		}
		if !info.Mode().IsRegular() {
			o.inPlace = true
			return o, nil
		}
		o.mode = info.Mode().Perm()
	}
	beside, err := o.beside()
	switch {
	case err == nil:
		return o, os.Remove(beside)
	case info == nil:
		return nil, o.refuse(err)
	}
	o.inPlace = true
	return o, nil
}

// refuse is the error of a path that can't be written.
func (o *output) refuse(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) { // of the file beside it
		err = path.Err
	}
	return fmt.Errorf("--%s: open %s: %w: want a file that can be written", o.flag, o.path, err)
}

// beside makes an empty file next to the output, of the same kind by its name.
func (o *output) beside() (string, error) {
	dir, name := filepath.Split(o.path)
	ext := filepath.Ext(name)
	path := filepath.Join(dir, fmt.Sprintf(".%s-%08x%s", strings.TrimSuffix(name, ext), rand.Uint32(), ext))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, o.mode)
	if err != nil {
		return "", err
	}
	return path, f.Close()
}

// replace lets write fill a file, and puts it in the place of the older one if that went well.
func (o *output) replace(write func(path string) error) error {
	if o.inPlace {
		return write(o.path)
	}
	path, err := o.beside()
	if err != nil {
		return fmt.Errorf("writing --%s: %w", o.flag, err)
	}
	if err = write(path); err == nil {
		err = os.Rename(path, o.path)
	}
	if err != nil {
		_ = os.Remove(path) // the first error counts
		return fmt.Errorf("writing --%s: %w", o.flag, err)
	}
	return nil
}

// fill replaces the output by what write writes.
func (o *output) fill(write func(io.Writer) error) error {
	return o.replace(func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, o.mode)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	})
}
