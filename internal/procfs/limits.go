package procfs

import (
	"bufio"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits is what a host allows, as far as load of many connections depends on it. Unknown (−1) is a limit that this
// kernel does not have or does not tell.
type Limits struct {
	// FilesPerProcess is the hard limit: Go programs raise their soft limit to it when they start.
	FilesPerProcess int64
	FilesOpen       int64 // by all processes
	FilesMax        int64 // for all processes: fs.file-max
	FilesNROpen     int64 // the most that FilesPerProcess can be set to: fs.nr_open
	PortLow         int64 // net.ipv4.ip_local_port_range
	PortHigh        int64
	SoMaxConn       int64
	SynBacklog      int64
	TimeWaitBuckets int64
	// TCPPressurePages is where the kernel begins to save on socket memory: the second value of net.ipv4.tcp_mem.
	TCPPressurePages  int64
	MemAvailableBytes int64
	// ConntrackMax and ConntrackCount are Unknown where connections over loopback are not tracked.
	ConntrackMax   int64
	ConntrackCount int64
	// LoopbackPool is whether any address of 127.0.0.0/8 can be used.
	LoopbackPool bool
	// CPUQuota is how many CPUs' time the control group allows; 0 is no limit.
	CPUQuota float64
	// StealShare is the share of time that the hypervisor took from the CPUs while it was measured.
	StealShare float64
	// Core[cpu] is the lowest CPU number of the physical core that a CPU belongs to, where known.
	Core map[int]int
}

// ReadLimits reads the limits. It takes stealFor longer, to see how much time the hypervisor takes at present; zero
// leaves that out.
func ReadLimits(stealFor time.Duration) Limits {
	l := Limits{FilesPerProcess: Unknown, CPUQuota: cpuQuota(os.DirFS("/")), StealShare: stealShare(stealFor), Core: Cores()}
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		l.FilesPerProcess = int64(min(files.Max, 1<<62))
	}
	l.FilesOpen, l.FilesMax = sysctlNumber("fs.file-nr", 0), sysctlNumber("fs.file-nr", 2)
	l.FilesNROpen = sysctlNumber("fs.nr_open", 0)
	l.PortLow, l.PortHigh = sysctlNumber("net.ipv4.ip_local_port_range", 0), sysctlNumber("net.ipv4.ip_local_port_range", 1)
	l.SoMaxConn = sysctlNumber("net.core.somaxconn", 0)
	l.SynBacklog = sysctlNumber("net.ipv4.tcp_max_syn_backlog", 0)
	l.TimeWaitBuckets = sysctlNumber("net.ipv4.tcp_max_tw_buckets", 0)
	l.TCPPressurePages = sysctlNumber("net.ipv4.tcp_mem", 1)
	l.MemAvailableBytes = Unknown
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		l.MemAvailableBytes = scaled(labelled(b, "MemAvailable:"), 1024)
	}
	l.probeLoopback()
	return l
}

// probeLoopback opens one connection on 127.0.0.2 and looks whether the kernel tracks it: connection tracking may be
// there and have nothing to do with loopback.
func (l *Limits) probeLoopback() {
	l.ConntrackMax, l.ConntrackCount = Unknown, Unknown
	listener, err := net.Listen("tcp4", "127.0.0.2:0")
	if err != nil {
		return
	}
	defer listener.Close()
	conn, err := net.DialTimeout("tcp4", listener.Addr().String(), time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	l.LoopbackPool = true
	if count := sysctlNumber("net.netfilter.nf_conntrack_count", 0); count > 0 {
		l.ConntrackMax, l.ConntrackCount = sysctlNumber("net.netfilter.nf_conntrack_max", 0), count
	}
}

// Sysctl returns a kernel setting by its name, such as "net.core.somaxconn", with its values separated by one blank;
// empty if there is none.
func Sysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

// sysctlNumber is the i-th value of a setting. Values beyond int64, as fs.file-max may have, become the largest int64.
func sysctlNumber(name string, i int) int64 {
	fields := strings.Fields(Sysctl(name))
	if i >= len(fields) {
		return Unknown
	}
	v, err := strconv.ParseUint(fields[i], 10, 64)
	if err != nil {
		return Unknown
	}
	return int64(min(v, 1<<63-1))
}

// stealShare is the share of all CPUs' time that was stolen during d.
func stealShare(d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	h, err := OpenHost()
	if err != nil {
		return 0
	}
	defer h.Close()
	before, err := h.Read()
	if err != nil {
		return 0
	}
	start := time.Now()
	<-time.After(d)
	after, err := h.Read()
	if err != nil {
		return 0
	}
	return float64(after.StealNs-before.StealNs) / float64(time.Since(start)) / float64(OnlineCPUs())
}

// OnlineCPUs is the number of the host's CPUs, whether the caller may run on them or not; at least 1.
func OnlineCPUs() int {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return runtime.NumCPU()
	}
	return max(strings.Count(string(b), "\ncpu"), 1)
}

// Cores maps each CPU that the caller may run on to the first one of its physical core, where that is known.
func Cores() map[int]int {
	cpus, err := Affinity()
	if err != nil {
		return nil
	}
	core := make(map[int]int, len(cpus))
	for _, cpu := range cpus {
		b, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if err != nil {
			continue
		}
		if first, _ := number(b); first != Unknown { // "0,2" or "0-1"
			core[cpu] = int(first)
		}
	}
	return core
}

// cpuQuota is the smallest CPU limit of the caller's control group and those above it, in CPUs; 0 is none.
func cpuQuota(root fs.FS) float64 {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	quota := 0.0
	lines := bufio.NewScanner(strings.NewReader(string(own)))
	for lines.Scan() {
		// "0::/path" of version 2, "1:cpu,cpuacct:/path" of version 1
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		var mount string
		read := quotaV1
		switch {
		case parts[0] == "0":
			mount, read = "sys/fs/cgroup", quotaV2
		case strings.Contains(","+parts[1]+",", ",cpu,"):
			mount = "sys/fs/cgroup/" + parts[1]
		default:
			continue
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			if q := read(root, mount+dir); q > 0 && (quota == 0 || q < quota) {
				quota = q
			}
			if dir == "/" {
				break
			}
		}
	}
	return quota
}

// quotaV2 reads cpu.max: "max 100000" or "150000 100000".
func quotaV2(root fs.FS, dir string) float64 {
	b, err := fs.ReadFile(root, path.Join(dir, "cpu.max"))
	if err != nil {
		return 0
	}
	limit, rest := number(b)
	period, _ := number(rest)
	return ratio(limit, period)
}

// quotaV1 reads cpu.cfs_quota_us, which is −1 without a limit, and cpu.cfs_period_us.
func quotaV1(root fs.FS, dir string) float64 {
	limit, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return 0
	}
	period, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0
	}
	l, _ := number(limit)
	p, _ := number(period)
	return ratio(l, p)
}

func ratio(limit, period int64) float64 {
	if limit <= 0 || period <= 0 {
		return 0
	}
	return float64(limit) / float64(period)
}
