package procfs

import (
	"bufio"
	"os"
	"path"
	"strings"
)

// Throttling reads how long CPU quotas stopped the caller's control group, or one above it, of version 1 or 2. It is not
// safe for concurrent use.
type Throttling struct {
	files []*file // cpu.stat of each group that can be throttled
	known bool
}

// OpenThrottling opens cpu.stat of the caller's groups. It is never nil; see Read.
func OpenThrottling() *Throttling {
	t := &Throttling{}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.known = os.IsNotExist(err) // a kernel without control groups throttles nobody
		return t
	}
	seen := false
	for _, dir := range cpuGroups(string(own)) {
		f, err := open(dir+"/cpu.stat", 1024)
		if err != nil {
			continue
		}
		seen = true
		if b, err := f.read(); err == nil && after(b, "nr_throttled ") != nil {
			t.files = append(t.files, f)
			continue
		}
		f.close() // the root of version 2, which has no quota
	}
	t.known = seen
	return t
}

// cpuGroups lists the directories of the groups in a /proc/PID/cgroup that may hold the CPU controller, up to the roots,
// where the usual mounts have them.
func cpuGroups(own string) []string {
	const root = "/sys/fs/cgroup"
	var dirs []string
	lines := bufio.NewScanner(strings.NewReader(own))
	for lines.Scan() {
		// "0::/path" of version 2, "1:cpu,cpuacct:/path" of version 1
		parts := strings.SplitN(lines.Text(), ":", 3)
		var mounts []string
		switch {
		case len(parts) != 3:
		case parts[0] == "0":
			mounts = []string{root, root + "/unified"}
		case strings.Contains(","+parts[1]+",", ",cpu,"):
			mounts = []string{root + "/" + parts[1]}
		}
		for _, mount := range mounts {
			for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
				dirs = append(dirs, path.Clean(mount+dir))
				if dir == "/" {
					break
				}
			}
		}
	}
	return dirs
}

// Close closes the files. It may be called more than once.
func (t *Throttling) Close() {
	for _, f := range t.files {
		f.close()
	}
}

// Read returns in how many periods the groups were throttled, and for how many ns in all, since they exist; zero where there
// is no quota. Both are Unknown where cpu.stat can't be read. It allocates nothing.
func (t *Throttling) Read() (periods, ns int64) {
	if !t.known {
		return Unknown, Unknown
	}
	for _, f := range t.files {
		b, err := f.read()
		if err != nil {
			return Unknown, Unknown
		}
		n, d := throttled(b)
		periods, ns = periods+n, ns+d
	}
	return periods, ns
}

// throttled reads a cpu.stat.
func throttled(b []byte) (periods, ns int64) {
	periods, _ = number(after(b, "nr_throttled "))
	if ns, _ = number(after(b, "throttled_time ")); ns == Unknown { // version 1, in ns
		us, _ := number(after(b, "throttled_usec ")) // version 2
		ns = scaled(us, 1000)
	}
	return max(periods, 0), max(ns, 0)
}
