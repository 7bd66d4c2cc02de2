// Package hostkey names what a cached measurement of the client is true of: this host, its kernel and this very program.
package hostkey

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// CacheVariable is the environment variable that names the cache directory in place of the user's.
const CacheVariable = "MILLRACE_CACHE"

// keyBytes of the hash are kept: enough to tell a few thousand hosts and programs apart.
const keyBytes = 8

// Key is a short hexadecimal hash of the host (its name and machine-id, the same after a reboot), the kernel's release
// and the content of the running executable. It names no host. The executable is read where its checksum is not yet kept in Dir.
func Key() (string, error) { return key() }

var key = sync.OnceValues(func() (string, error) {
	program, err := checksum(running, Dir(), time.Now())
	if err != nil {
		return "", fmt.Errorf("making the host's key: %w", err)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("making the host's key: reading the kernel's release: %w", err)
	}
	return keyOf(host(), unix.ByteSliceToString(u.Release[:])+" "+unix.ByteSliceToString(u.Machine[:]), program), nil
})

// Path is where a measurement of that name is kept: NAME-KEY.json in Dir. The file and the directory need not exist.
func Path(name string) (string, error) {
	k, err := Key()
	if err != nil {
		return "", err
	}
	return filepath.Join(Dir(), name+"-"+k+".json"), nil
}

// Dir is the cache directory: that of CacheVariable where it is set, otherwise "millrace" in the user's cache directory, or
// in that for temporary files where the user has none. It is bounded: see keptFiles and keptFor.
func Dir() string {
	if dir := os.Getenv(CacheVariable); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "millrace")
}

// keyOf hashes the three, each with its length in front, so that no two triples run together.
func keyOf(host, kernel, program string) string {
	h := sha256.New()
	for _, s := range []string{host, kernel, program} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil)[:keyBytes])
}

// host is the name and the machine-id, either of which may be missing.
func host() string {
	name, _ := os.Hostname()
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if id, err := os.ReadFile(path); err == nil {
			return name + " " + strings.TrimSpace(string(id))
		}
	}
	return name
}
