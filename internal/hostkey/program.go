package hostkey

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// running is the executable of this process, even where another file has taken its path since.
const running = "/proc/self/exe"

// settled is how long ago a file must have been changed for its checksum to be kept: two changes within one tick of the
// kernel's clock, at most 10 ms, have the same times.
const settled = time.Second

// identity is what changes with the content of a file: written in place it has another ctime, replaced another inode.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // ns since 1970
}

func identify(f *os.File) (identity, error) {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return identity{}, fmt.Errorf("looking at %s: %w", f.Name(), err)
	}
	return identity{uint64(s.Dev), s.Ino, s.Size, s.Mtim.Nano(), s.Ctim.Nano()}, nil
}

// file is where the checksum of a program with this identity is kept: program-HASH.sum.
func (i identity) file(dir string) string {
	h := sha256.Sum256(fmt.Append(nil, i.dev, i.ino, i.size, i.mtime, i.ctime))
	return filepath.Join(dir, "program-"+hex.EncodeToString(h[:keyBytes])+".sum")
}

// checksum is the SHA-256 of a file in hexadecimal digits. It is taken from dir where it is kept there; otherwise the file is
// read, some 20 ms for 40 MB, and the checksum kept if the file was settled at a time and did not change meanwhile. What can't
// be kept is computed again the next time, which is no error.
func checksum(path, dir string, now time.Time) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading this program: %w", err)
	}
	defer f.Close()
	before, err := identify(f)
	if err != nil {
		return "", fmt.Errorf("reading this program: %w", err)
	}
	kept := before.file(dir)
	if sum, err := os.ReadFile(kept); err == nil && isSum(string(sum)) {
		return string(sum), nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading this program %s: %w", path, err)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if after, err := identify(f); err == nil && after == before && now.Sub(time.Unix(0, before.ctime)) >= settled {
		if keepSum(kept, sum) == nil {
			tidy(dir, now)
		}
	}
	return sum, nil
}

func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// keepSum writes a checksum whole or not at all: another process may read it at any time.
func keepSum(path, sum string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := fmt.Sprintf("%s.%d", path, os.Getpid())
	err := os.WriteFile(next, []byte(sum), 0o644)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
	}
	return err
}
