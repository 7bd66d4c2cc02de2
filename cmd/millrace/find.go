package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// findRun is the directory of a run that is named by its path or by its ID below root.
func findRun(root, name string) (string, error) {
	for _, dir := range []string{name, filepath.Join(root, name)} {
		_, err := os.Stat(filepath.Join(dir, "run.json"))
		if name != "" && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return dir, nil // what can't be read is told by whoever reads it
		}
	}
	return "", usage(fmt.Errorf("no such run: %q: want the directory of a run, which holds run.json, or the ID of one: %s", name, knownRuns(root)))
}

// mostRunsNamed bounds the list of an error.
const mostRunsNamed = 5

// knownRuns names the latest runs below root.
func knownRuns(root string) string {
	found, err := filepath.Glob(filepath.Join(root, "*", "run.json"))
	if err != nil || len(found) == 0 {
		return "there is none in " + root + ": make one with millrace run"
	}
	var names []string
	for _, f := range slices.Backward(found) {
		if names = append(names, filepath.Base(filepath.Dir(f))); len(names) == mostRunsNamed {
			break
		}
	}
	return "the latest in " + root + " are " + strings.Join(names, ", ")
}
