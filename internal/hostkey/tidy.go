package hostkey

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// What the cache directory keeps: of each kind of file, such as calibrate or selfcheck-epoll, the newest keptFiles, and none
// older than keptFor. A file is as old as its last writing. Every program built anew leaves some behind.
const (
	keptFiles = 64
	keptFor   = 90 * 24 * time.Hour
)

// ours matches the names in the cache directory that millrace gives: KIND-KEY.json, program-HASH.sum, HASH.json of a conformed
// server program, and each with the process that did not finish writing it. The first group is the kind.
var ours = regexp.MustCompile(`^(?:([a-z-]+)-)?[0-9a-f]{16,32}\.(?:json|sum)(?:\.[0-9]+)?$`)

// tidy removes what the cache directory does not keep. Files of other names stay, and so does what can't be removed.
func tidy(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	kinds := map[string][]fs.FileInfo{}
	for _, e := range entries {
		m := ours.FindStringSubmatch(e.Name())
		if m == nil || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil { // otherwise another process removed it
			kinds[m[1]] = append(kinds[m[1]], info)
		}
	}
	for _, files := range kinds {
		slices.SortFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
		for i, f := range files {
			if i >= keptFiles || now.Sub(f.ModTime()) > keptFor {
				_ = os.Remove(filepath.Join(dir, f.Name()))
			}
		}
	}
}
