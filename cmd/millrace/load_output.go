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
	exists     bool // so that mode is that of the old file, whatever the umask
	// inPlace is set where nothing can or may take the file's place: a pipe, a device, a file in a folder that takes no other, or
	// one that a process has open and is named by its descriptor.
	inPlace bool
	stream  *os.File // standard output or error where the file is the same, otherwise nil
}

// newOutput finds out early that a file can't be written: a wrong path must not cost a measurement. It leaves no file behind.
func newOutput(flag, path string) (*output, error) {
	o := &output{flag: flag, path: path, mode: 0o644}
	o.path, o.inPlace = resolve(path)
	info, err := os.Stat(o.path)
	switch {
	case err != nil && (o.inPlace || !errors.Is(err, fs.ErrNotExist)):
		return nil, o.refuse(err)
	case err == nil && info.IsDir():
		return nil, o.refuse(unix.EISDIR)
	case err == nil:
		if o.stream = standard(info); o.stream != nil {
			o.inPlace = true
			return o, nil
		}
		if err := unix.Access(o.path, unix.W_OK); err != nil {
			return nil, o.refuse(err)
		}
		if o.inPlace = o.inPlace || !info.Mode().IsRegular(); o.inPlace {
			return o, nil
		}
		o.mode, o.exists = info.Mode().Perm(), true
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

// maxLinks are followed, as many as the kernel would.
const maxLinks = 40

// resolve follows links to the place of a file, which need not be there yet. It stops below /proc, where /dev/stdout and /dev/fd
// lead: a link there stands for an open file, whose name must not be given to another.
func resolve(path string) (target string, open bool) {
	target = path
	for range maxLinks {
		dir, name := filepath.Split(target)
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			break // opening tells
		}
		target = filepath.Join(dir, name)
		if strings.HasPrefix(target, "/proc/") {
			return target, true
		}
		link, err := os.Readlink(target)
		if err != nil { // no link
			break
		}
		if target = link; !filepath.IsAbs(link) {
			target = dir + "/" + link // Join would take ".." for the way back from a link
		}
	}
	return target, false
}

// standard is standard output or error where that is the file, so that what was printed stays; otherwise nil.
func standard(file fs.FileInfo) *os.File {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if info, err := f.Stat(); err == nil && os.SameFile(info, file) {
			return f
		}
	}
	return nil
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
	if o.exists {
		err = f.Chmod(o.mode)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path) // the first error counts
		return "", err
	}
	return path, nil
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
	if o.stream != nil {
		return write(o.stream)
	}
	return o.replace(func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, o.mode)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	})
}
