package conform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Cached returns the report that an earlier call left in the folder for the same binary, arguments, variables, protocol, payload and
// version of the suite, or runs the suite. Only a report that passed is kept: a program that fails is put to it again
// each time, so that a fault of the host is not held against it. Safe for concurrent use by several processes.
func Cached(ctx context.Context, folder string, t Target) (*Report, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if len(t.Command) == 0 {
		return Run(ctx, t, Options{})
	}
	sum, err := fileSum(t.Command[0])
	if err != nil {
		return nil, fmt.Errorf("reading program %s: %w", t.Command[0], err)
	}
	path := filepath.Join(folder, cacheKey(t, sum)+".json")
	if report, err := readReport(path); err != nil || report != nil {
		return report, err
	}
	report, err := Run(ctx, t, Options{})
	if err != nil || !report.Passed {
		return report, err
	}
	// The program may have been built anew while the suite ran.
	if report.SHA256 != sum {
		return report, nil
	}
	return report, writeReport(path, report)
}

// cacheKey depends on everything that a report depends on, the host apart.
func cacheKey(t Target, sum string) string {
	data, err := json.Marshal([]any{Schema, Version, sum, t.Command[1:], t.Protocol, t.Args, t.Env, t.Payload, t.Foreign, t.Addr})
	if err != nil {
		panic(err) // strings and numbers only
	}
	key := sha256.Sum256(data)
	return hex.EncodeToString(key[:16])
}

// fileSum is the SHA-256 of the program that a command of this name runs.
func fileSum(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readReport returns nil where there is none, or none that can be read: it is made again then.
func readReport(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading conformance report: %w", err)
	}
	var report Report
	if json.Unmarshal(data, &report) != nil || report.Schema != Schema || report.Suite != Version || !report.Passed {
		return nil, nil
	}
	return &report, nil
}

// writeReport puts the whole file in place at once.
func writeReport(path string, report *Report) error {
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("writing conformance report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making cache folder: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("writing conformance report: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(append(data, '\n'))
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing conformance report: %w", err)
	}
	return nil
}
