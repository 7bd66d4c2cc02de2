package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// holds fails the test unless a folder has exactly one file, with the text.
func holds(t *testing.T, path, text string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != text {
		t.Errorf("%s holds %q, error %v: want %q", path, got, err, text)
	}
	if all, _ := os.ReadDir(filepath.Dir(path)); len(all) != 1 {
		t.Errorf("%v: want %s alone", all, path)
	}
}

// TestAKilledLoadKeepsTheOldReport kills a load when its first connection has come.
func TestAKilledLoadKeepsTheOldReport(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binDir, "millrace"), "load", "http://"+l.Addr().String()+"/", "-c", "1", "-d", "60s", "--json", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err == nil {
		defer c.Close()
	}
	_ = cmd.Process.Kill()
	if cmd.Wait() == nil || err != nil {
		t.Fatalf("the load ended by itself, or never came: %v", err)
	}
	holds(t, path, "old")
}

func TestOutputTakesTheOldOnesPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.svg")
	write := func(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }
	o, err := newOutput("plot", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was made before there was anything to write")
	}
	if err := o.replace(func(p string) error { return write(p, "one") }); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "one")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if o, err = newOutput("plot", path); err != nil {
		t.Fatal(err)
	}
	if err := o.replace(func(p string) error { return errors.Join(write(p, "half"), errors.New("no more ink")) }); err == nil || !strings.Contains(err.Error(), "writing --plot: no more ink") {
		t.Errorf("%v", err)
	}
	holds(t, path, "one")
	if err := o.replace(func(p string) error { return write(p, "two") }); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "two")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v: want that of the old file", info.Mode(), err)
	}

	// A link goes on to point where it did.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if o, err = newOutput("plot", link); err != nil {
		t.Fatal(err)
	}
	if err := o.replace(func(p string) error { return write(p, "three") }); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "three")
	if _, err := os.Readlink(link); err != nil {
		t.Errorf("the link was replaced: %v", err)
	}
	// One that dangles makes its target, and the mode of an old file is not the umask's to cut.
	late := filepath.Join(t.TempDir(), "late.svg")
	far := filepath.Join(filepath.Dir(link), "far")
	if err := errors.Join(os.Symlink(late, far), os.Symlink("far", link+"-2")); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"four", "five"} {
		if o, err = newOutput("plot", link+"-2"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(o.replace(func(p string) error { return write(p, text) }), os.Chmod(late, 0o666)); err != nil {
			t.Fatal(err)
		}
		holds(t, late, text)
	}
	if o, err = newOutput("plot", late); err != nil {
		t.Fatal(err)
	}
	if err := o.replace(func(p string) error { return write(p, "six") }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(late); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v, error %v: want the mode of the old file", info, err)
	}
	for _, p := range []string{filepath.Dir(path), filepath.Join(path, "x"), filepath.Join(filepath.Dir(path), "no", "x")} {
		if _, err := newOutput("json", p); err == nil || !strings.Contains(err.Error(), "--json: open "+p+": ") {
			t.Errorf("%s: %v", p, err)
		}
	}
	if o, err = newOutput("json", os.DevNull); err != nil || !o.inPlace {
		t.Errorf("%+v, %v: want a device to be written in place", o, err)
	}
}

// TestOutputByDescriptor: a file that is named by a descriptor, or is standard output, stays the one that the shell opened.
func TestOutputByDescriptor(t *testing.T) {
	w := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer w.Close()
	for _, c := range []struct{ redirect, path string }{
		{">", "/dev/stdout"}, {"2>", "/dev/stderr"}, {"3>", "/dev/fd/3"}, {">", "out"}, {"3>", "/proc/self/fd/3"},
	} {
		cmd := exec.Command("sh", "-c", `exec "$0" load "$1" -c 1 -d 100ms --json "$2" `+c.redirect+" out", filepath.Join(binDir, "millrace"), w.URL, c.path)
		cmd.Dir = t.TempDir()
		_ = cmd.Run() // such a short load may be invalid
		got, err := os.ReadFile(filepath.Join(cmd.Dir, "out"))
		if err != nil || !strings.Contains(string(got), `"verdict": `) {
			t.Errorf("--json %s %s out: %q, error %v: want a report", c.path, c.redirect, got, err)
		}
		if printed := strings.Contains(string(got), "epoll engine, "); printed != (c.redirect == ">") {
			t.Errorf("--json %s %s out: %q: want what was printed to stay", c.path, c.redirect, got)
		}
	}
	if o, err := newOutput("json", "/proc/self/fd/999"); err == nil || !strings.Contains(err.Error(), "want a file that can be written") {
		t.Errorf("%+v, %v: want no descriptor that is not open", o, err)
	}
}
