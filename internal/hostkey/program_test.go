package hostkey

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rewrite writes a file of the same size in place, and gives it back its time of change. It writes until the kernel's clock,
// which ticks every few ms, tells that it did.
func rewrite(t *testing.T, path string, data []byte) {
	t.Helper()
	look := func() identity {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		i, err := identify(f)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	before := look()
	for deadline := time.Now().Add(5 * time.Second); look().ctime == before.ctime; {
		if time.Now().After(deadline) {
			t.Fatalf("writing %s does not change its ctime", path)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(0, before.mtime)); err != nil {
			t.Fatal(err)
		}
	}
	if after := look(); after.ino != before.ino || after.size != before.size || after.mtime != before.mtime {
		t.Fatalf("rewritten from %+v to %+v: want only the ctime to differ", before, after)
	}
}

// sums are the files with checksums in a cache directory.
func sums(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "program-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestChecksumIsOfTheContent(t *testing.T) {
	path, cache := filepath.Join(t.TempDir(), "program"), filepath.Join(t.TempDir(), "new")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	sum := func() string {
		t.Helper()
		s, err := checksum(path, cache, later)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one := sum()
	if again := sum(); again != one || len(sums(t, cache)) != 1 {
		t.Errorf("checksums %s and %s of one content, kept in %v", one, again, sums(t, cache))
	}
	rewrite(t, path, []byte("two"))
	two := sum()
	rewrite(t, path, []byte("one"))
	if back := sum(); two == one || back != one {
		t.Errorf("checksums %s, %s, %s of one, two, one", one, two, back)
	}
	if _, err := checksum(path+"-not-there", cache, later); err == nil {
		t.Error("no error for a program that is not there")
	}
}

func TestChecksumIsTakenFromTheCache(t *testing.T) {
	path, cache := filepath.Join(t.TempDir(), "program"), t.TempDir()
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	one, err := checksum(path, cache, now)
	if err != nil {
		t.Fatal(err)
	}
	if kept := sums(t, cache); len(kept) > 0 {
		t.Errorf("kept %v of a file that was just written: it may change within the same tick", kept)
	}
	later := now.Add(settled + time.Minute)
	if _, err := checksum(path, cache, later); err != nil {
		t.Fatal(err)
	}
	kept := sums(t, cache)
	if len(kept) != 1 {
		t.Fatalf("kept %v, want one", kept)
	}
	other := strings.Repeat("0", len(one))
	for text, want := range map[string]string{other: other, "damaged": one, other[1:]: one} {
		if err := os.WriteFile(kept[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := checksum(path, cache, later); err != nil || got != want {
			t.Errorf("with %q kept: %s, %v, want %s", text, got, err, want)
		}
	}
	// Without a directory to keep it in, here below a file.
	if got, err := checksum(path, filepath.Join(path, "cache"), later); err != nil || got != one {
		t.Errorf("without a cache: %s, %v, want %s", got, err, one)
	}
}

func TestTidy(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	write := func(name string, age time.Duration) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	key := func(i int) string { return fmt.Sprintf("%016x", i) }
	var want []string
	for i := range keptFiles + 3 {
		name := "calibrate-" + key(i) + ".json"
		if write(name, time.Duration(i)*time.Minute); i < keptFiles {
			want = append(want, name)
		}
	}
	old := keptFor + time.Hour
	for name, age := range map[string]time.Duration{
		"selfcheck-epoll-" + key(1) + ".json": keptFor - time.Hour, // as new as it must be
		"selfcheck-epoll-" + key(2) + ".json": old,
		"program-" + key(1) + ".sum":          0,
		"program-" + key(2) + ".sum":          old,
		"program-" + key(3) + ".sum.4711":     old, // never finished
		key(1) + key(1) + ".json":             old, // of a server program
		"notes-" + key(1) + ".txt":            old, // not ours
		"calibrate.json":                      old,
	} {
		write(name, age)
		if age != old || strings.HasSuffix(name, ".txt") || name == "calibrate.json" {
			want = append(want, name)
		}
	}
	tidy(dir, now)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("left %v, want %v", got, want)
	}
	tidy(filepath.Join(dir, "not-there"), now)
}
