// Package selfcheck keeps how the known answers came out on this host, with this kernel and this program, so that a load can
// say whether its client was ever checked here. The answers themselves are in clients/known.
package selfcheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/internal/hostkey"
)

// Schema is the version of Verdict's JSON.
const Schema = 1

// Verdict is how the known answers came out for one engine.
type Verdict struct {
	Schema int       `json:"schema"`
	At     time.Time `json:"at"`
	Engine string    `json:"engine"` // one of clients.Engines
	// Quick is whether only the quick cases were run.
	Quick bool `json:"quick"`
	// Passed and Failed are the names of cases. A case that passed when it was repeated is in Passed.
	Passed []string `json:"passed"`
	Failed []string `json:"failed"`
}

// OK reports whether every case passed, and there was one.
func (v Verdict) OK() bool { return len(v.Failed) == 0 && len(v.Passed) > 0 }

// Hides reports whether a verdict would hide that the last one failed: it has only the quick cases, and is OK.
func (v Verdict) Hides(last Verdict) bool {
	return v.Quick && v.OK() && !last.Quick && len(last.Failed) > 0
}

// ErrNever is the error, wrapped, of a Load where no verdict is kept: this program was never checked on this host and kernel.
var ErrNever = errors.New("never run on this host with this binary: run `millrace selfcheck`")

// Last is the verdict on an engine in the usual cache directory.
func Last(engine string) (Verdict, error) { return Load(hostkey.Dir(), engine) }

// Load returns the last verdict on an engine that was stored in a directory by this program on this host and kernel.
func Load(dir, engine string) (Verdict, error) {
	path, err := pathOf(dir, engine)
	if err != nil {
		return Verdict{}, fmt.Errorf("reading the selfcheck's verdict: %w", err)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Verdict{}, ErrNever
	}
	var v Verdict
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err == nil && (v.Schema != Schema || v.Engine != engine) {
		err = fmt.Errorf("%s: schema %d of engine %q: want %d of %q", path, v.Schema, v.Engine, Schema, engine)
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("reading the selfcheck's verdict: %w", err)
	}
	return v, nil
}

// Store keeps a verdict in a directory, which is made if need be, in place of the last one on the same engine.
func Store(dir string, v Verdict) error {
	v.Schema = Schema
	path, err := pathOf(dir, v.Engine)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("keeping the selfcheck's verdict: %w", err)
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("keeping the selfcheck's verdict: %w", err)
	}
	// Whole or not at all: another process may read it at any time.
	next := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err = os.WriteFile(next, append(data, '\n'), 0o644); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
		return fmt.Errorf("keeping the selfcheck's verdict: %w", err)
	}
	return nil
}

// pathOf is where a verdict is kept: selfcheck-ENGINE-KEY.json.
func pathOf(dir, engine string) (string, error) {
	key, err := hostkey.Key()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "selfcheck-"+engine+"-"+key+".json"), nil
}
