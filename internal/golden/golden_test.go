package golden

import (
	"os"
	"testing"
)

// recorder is a test that only notes how it ended.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true }

func TestEqual(t *testing.T) {
	t.Chdir(t.TempDir())
	*update = true
	Equal(t, "a/b.txt", "one\ntwo\n")
	*update = false
	for _, c := range []struct {
		name, file, got string
		failed          bool
	}{
		{"the same", "a/b.txt", "one\ntwo\n", false},
		{"another line end", "a/b.txt", "one\ntwo", true},
		{"no file", "a/c.txt", "", true},
	} {
		r := &recorder{TB: t}
		Equal(r, c.file, []byte(c.got))
		if r.failed != c.failed {
			t.Errorf("%s: failed %v, want %v", c.name, r.failed, c.failed)
		}
	}
	if _, err := os.Stat("testdata/a/c.txt"); err == nil {
		t.Error("a golden file was written without -update")
	}
}
