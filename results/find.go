package results

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Find reads the runs below root that are wanted, in the order of their ids, which is that of their starts. What can't be read,
// such as a run of another schema, is passed over with a warning that names the file and the reason. A root that doesn't
// exist has no runs.
func Find(root string, want func(*Run) bool) (found []*Result, warnings []string, err error) {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("finding runs: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		file := filepath.Join(path, runFile)
		if _, err := os.Stat(file); err != nil {
			if _, err := os.Stat(filepath.Join(path, trialsFile)); err == nil {
				warnings = append(warnings, fmt.Sprintf("passed over: %s has trials and no %s", path, runFile))
			}
			continue
		}
		run, err := readRun(file)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("passed over: %v", err))
			continue
		}
		if !want(run) {
			continue
		}
		r, err := Load(path)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("passed over: %v", err))
			continue
		}
		found = append(found, r)
	}
	return found, warnings, nil
}
