package hostkey

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

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

func TestChecksumIsOfTheContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	var sums []string
	for _, text := range []string{"one", "two", "one"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sum, err := checksum(path)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sum)
	}
	if sums[0] == sums[1] || sums[0] != sums[2] {
		t.Errorf("checksums %v of one, two, one", sums)
	}
	if _, err := checksum(path + "-not-there"); err == nil {
		t.Error("no error for a program that is not there")
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
