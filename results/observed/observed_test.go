package observed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Read(dir)
		switch {
		case want == "" && (err != nil || r.Counts[0].Syscalls["read"] != 7 || r.CPU.ToNs != 2):
			t.Errorf("%s: %+v, %v", text, r, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), File)):
			t.Errorf("%s: error %v, want %q and the file in it", text, err, want)
		}
	}
	check(`{"schema":1,"cpu":{"from_ns":1,"to_ns":2},"counts":[{"t_ns":5,"syscalls":{"read":7}}]}`, "")
	check(`{"schema":2}`, "schema 2: want 1")
	check(`{"schema":1,"what":1}`, "what")
	check(`{"schema":1`, "EOF")
}

// A measured trial has neither the record nor a profile.
func TestReadOfAMeasuredTrial(t *testing.T) {
	if _, err := Read(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if data, err := Profile(t.TempDir(), CPUProfile); data != nil || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}
