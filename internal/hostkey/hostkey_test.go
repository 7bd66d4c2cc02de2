package hostkey

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// printKey makes this program print its key instead of running tests.
const printKey = "HOSTKEY_TEST_PRINT"

func TestMain(m *testing.M) {
	if os.Getenv(printKey) == "" {
		os.Exit(withCache(m))
	}
	k, err := Key()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(k)
}

// withCache runs the tests with a cache directory that is not the user's.
func withCache(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hostkey-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Setenv(CacheVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// A program that is rewritten in place has another key, though neither its path nor its size or its time of change tells.
func TestKeyChangesWithTheProgram(t *testing.T) {
	program, cache := filepath.Join(t.TempDir(), "program"), t.TempDir()
	self, err := os.ReadFile(running)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, self, 0o700); err != nil {
		t.Fatal(err)
	}
	key := func() string {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), printKey+"=1", CacheVariable+"="+cache)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	first := key()
	// A later process keeps the checksum, which the next one takes: the program is too young for the first to do so.
	if _, err := checksum(program, cache, time.Now().Add(time.Hour)); err != nil || len(sums(t, cache)) != 1 {
		t.Fatalf("kept %v, error %v: want a checksum of the program", sums(t, cache), err)
	}
	if again := key(); again != first {
		t.Errorf("keys %s and %s of the same program", first, again)
	}
	self[len(self)-1] ^= 1 // which is not code
	rewrite(t, program, self)
	if other := key(); other == first {
		t.Errorf("key %s of both programs", first)
	}
}

func TestKeyIsStableAndNamesNobody(t *testing.T) {
	a, err := Key()
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := Key(); a != b || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(a) {
		t.Errorf("keys %q and %q: want the same 16 hexadecimal digits twice", a, b)
	}
}

func TestKeyChangesWithEachPart(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range [][3]string{{"h", "k", "p"}, {"x", "k", "p"}, {"h", "x", "p"}, {"h", "k", "x"}, {"hk", "", "p"}, {"", "hk", "p"}} {
		seen[keyOf(k[0], k[1], k[2])] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d different keys of 6 different triples", len(seen))
	}
}

func TestPathIsInTheCacheDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(CacheVariable, dir)
	k, err := Key()
	if err != nil {
		t.Fatal(err)
	}
	if path, err := Path("selfcheck"); err != nil || path != filepath.Join(dir, "selfcheck-"+k+".json") {
		t.Errorf("path %q, error %v", path, err)
	}
	t.Setenv(CacheVariable, "")
	t.Setenv("XDG_CACHE_HOME", dir)
	if got := Dir(); got != filepath.Join(dir, "millrace") {
		t.Errorf("directory %q", got)
	}
}
