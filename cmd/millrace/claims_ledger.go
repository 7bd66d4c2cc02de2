package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/results"
)

// ledgerFile lies beside the runs.
const ledgerFile = "claims.jsonl"

// States of a run of the catalogue in the ledger. Over ends a sitting.
const (
	ledgerBegun = "begun"
	ledgerEnded = "ended"
	ledgerOver  = "over"
)

// ledger remembers which runs of a sitting at the claims are made, so that an interrupted one can go on.
type ledger struct {
	path    string        // empty keeps nothing
	entries []ledgerEntry // of the sitting
}

// ledgerEntry is a line of it.
type ledgerEntry struct {
	Schema int    `json:"schema"`
	Run    string `json:"run,omitempty"` // its name in the catalogue
	Key    string `json:"key,omitempty"` // of what was measured
	ID     string `json:"id,omitempty"`  // of the run's directory
	State  string `json:"state"`
	// Reason is why a run ended, one of the Ended constants of results.
	Reason string `json:"reason,omitempty"`
}

// settled reports whether the run has ended, and not because its time was over: more of that can make it whole.
func (e ledgerEntry) settled() bool {
	return e.State == ledgerEnded && e.Reason != results.EndedBudget
}

// openLedger reads what is left of an interrupted sitting, or begins a new one. A last line that was torn off by a crash is cut
// away.
func openLedger(root string, resume bool) (*ledger, error) {
	l := &ledger{path: filepath.Join(root, ledgerFile)}
	data, err := os.ReadFile(l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the claims' ledger: %w", err)
	}
	if whole := bytes.LastIndexByte(data, '\n') + 1; whole < len(data) {
		if err := os.Truncate(l.path, int64(whole)); err != nil {
			return nil, fmt.Errorf("mending the claims' ledger: %w", err)
		}
		data = data[:whole]
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		var e ledgerEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Schema != results.Schema {
			return nil, fmt.Errorf("reading the claims' ledger %s:%d: want a line of JSON with schema %d: move the file away to begin anew", l.path, n, results.Schema)
		}
		if l.entries = append(l.entries, e); e.State == ledgerOver {
			l.entries = nil
		}
	}
	if !resume && len(l.entries) > 0 {
		l.entries = nil
		return l, l.over()
	}
	return l, nil
}

// find is the last entry of what was measured so.
func (l *ledger) find(key string) (last ledgerEntry, found bool) {
	for _, e := range l.entries {
		if e.Key == key {
			last, found = e, true
		}
	}
	return last, found
}

// over ends the sitting.
func (l *ledger) over() error { return l.add(ledgerEntry{State: ledgerOver}) }

// add appends an entry, and returns when it is on disk.
func (l *ledger) add(e ledgerEntry) error {
	e.Schema = results.Schema
	if l.entries = append(l.entries, e); l.path == "" {
		return nil
	}
	line, err := json.Marshal(e)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(l.path), 0o755)
	}
	if err != nil {
		return fmt.Errorf("keeping the claims' ledger: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("keeping the claims' ledger: %w", results.Remedied(err, filepath.Dir(l.path)))
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keeping the claims' ledger: %w", results.Remedied(err, filepath.Dir(l.path)))
	}
	return nil
}
