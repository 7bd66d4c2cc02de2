package foreign

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Listens reports whether a process of the leader's group listens at the port of addr: the address was free when it was chosen, and
// anybody may have taken it since. Where the kernel doesn't tell, the server is taken at its word.
func Listens(leader int, addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	inodes, err := listening(port)
	group, groupErr := Group(leader)
	if err != nil || groupErr != nil {
		return groupErr == nil
	}
	for _, pid := range group {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil || len(files) == 0 {
			return true // not ours to read
		}
		for _, path := range files {
			if target, err := os.Readlink(path); err == nil && inodes[target] {
				return true
			}
		}
	}
	return false
}

// listening are the sockets that listen at a port, as /proc/PID/fd names them.
func listening(port string) (map[string]bool, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	sockets := map[string]bool{}
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(path)
		if err != nil {
			if path == "/proc/net/tcp6" {
				continue // a host without IPv6
			}
			return nil, err
		}
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …; 0A is TCP_LISTEN.
		want := fmt.Appendf(nil, ":%04X", n)
		for line := range bytes.Lines(data) {
			f := bytes.Fields(line)
			if len(f) > 9 && bytes.HasSuffix(f[1], want) && string(f[3]) == "0A" {
				sockets["socket:["+string(f[9])+"]"] = true
			}
		}
	}
	return sockets, nil
}
