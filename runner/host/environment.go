package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	host "github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
)

// gitWithin bounds each question to git.
const gitWithin = 2 * time.Second

// recordedSysctls are the kernel settings that results depend on.
var recordedSysctls = []string{
	"fs.file-max", "fs.nr_open", "kernel.pid_max", "kernel.sched_rt_runtime_us", "kernel.randomize_va_space",
	"net.core.default_qdisc", "net.core.netdev_max_backlog", "net.core.optmem_max", "net.core.rmem_default",
	"net.core.rmem_max", "net.core.somaxconn", "net.core.wmem_default", "net.core.wmem_max", "net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_abort_on_overflow", "net.ipv4.tcp_congestion_control", "net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_mem", "net.ipv4.tcp_rmem",
	"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_timestamps", "net.ipv4.tcp_tw_reuse",
	"net.ipv4.tcp_wmem", "net.netfilter.nf_conntrack_max", "vm.overcommit_memory", "vm.swappiness",
}

// recordedRlimits are the limits of this process that its children inherit, by their names in the record.
var recordedRlimits = map[string]int{
	"address_space_bytes": unix.RLIMIT_AS, "files": unix.RLIMIT_NOFILE, "locked_bytes": unix.RLIMIT_MEMLOCK,
	"processes": unix.RLIMIT_NPROC, "stack_bytes": unix.RLIMIT_STACK,
}

// rulerModules are the modules of this program that figures depend on.
var rulerModules = []string{"github.com/HdrHistogram/hdrhistogram-go", "github.com/nats-io/nats-server/v2", "github.com/tsenart/vegeta/v12"}

// CaptureEnv describes the host and the build. What can't be found out stays empty. Frameworks are the servers' modules
// and versions, which only the servers know. Version and commit are this program's, from the build; a commit that ends in
// "+" was built from changed files. An empty one is looked up in the build information, and then asked of git in the
// current directory, which takes at most 4 s. An unlimited limit is 2⁶⁴ − 1.
func CaptureEnv(ctx context.Context, frameworks map[string]string, version, commit string) results.Env {
	env := results.Env{
		Host: hostHash(), Cores: procfs.OnlineCPUs(), Kernel: kernel(), Go: runtime.Version(), Millrace: version,
		Governor: firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Sysctls:  map[string]string{}, Limits: map[string]uint64{}, Modules: map[string]string{},
		GOGC: os.Getenv("GOGC"), GOMAXPROCS: os.Getenv("GOMAXPROCS"),
	}
	var hypervisor bool
	if fs, err := host.NewDefaultFS(); err == nil {
		if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 {
			env.CPU = cpus[0].ModelName
			hypervisor = slices.Contains(cpus[0].Flags, "hypervisor")
		}
		if memory, err := fs.Meminfo(); err == nil && memory.MemTotalBytes != nil {
			env.MemBytes = int64(*memory.MemTotalBytes)
		}
	}
	env.Virtual = virtual(hypervisor)
	for _, name := range recordedSysctls {
		if v := procfs.Sysctl(name); v != "" {
			env.Sysctls[name] = v
		}
	}
	for name, resource := range recordedRlimits {
		var limit unix.Rlimit
		if unix.Getrlimit(resource, &limit) == nil {
			env.Limits[name], env.Limits[name+"_hard"] = limit.Cur, limit.Max
		}
	}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, d := range info.Deps {
			if slices.Contains(rulerModules, d.Path) {
				env.Modules[d.Path] = d.Version
			}
		}
	}
	maps.Copy(env.Modules, frameworks)
	env.Commit, env.Dirty = commitOf(ctx, commit, info)
	return env
}

// commitOf takes the commit of the build, else of the build information, else of the current directory.
func commitOf(ctx context.Context, built string, info *debug.BuildInfo) (commit string, dirty bool) {
	if commit, dirty = strings.CutSuffix(built, "+"); commit != "" {
		return commit, dirty
	}
	if info != nil {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value
			case "vcs.modified":
				dirty = s.Value == "true"
			}
		}
	}
	if commit != "" {
		return commit, dirty
	}
	commit, err := git(ctx, "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "", false
	}
	_, err = git(ctx, "diff", "--quiet", "HEAD")
	return commit, err != nil
}

func git(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	return strings.TrimSpace(string(out)), err
}

// hostHash tells hosts apart without naming them. It is the same after a reboot.
func hostHash() string {
	id := firstLine("/etc/machine-id")
	if id == "" {
		id = firstLine("/var/lib/dbus/machine-id")
	}
	if id == "" {
		id, _ = os.Hostname()
	}
	sum := sha256.Sum256([]byte("millrace host " + id))
	return hex.EncodeToString(sum[:6])
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
}

// virtual says what a host is known to run in: the hypervisor's name where it tells, "container".
func virtual(hypervisor bool) string {
	var parts []string
	name := strings.TrimSpace(firstLine("/sys/class/dmi/id/sys_vendor") + " " + firstLine("/sys/class/dmi/id/product_name"))
	if kind := firstLine("/sys/hypervisor/type"); kind != "" {
		name = strings.TrimSpace(kind + " " + name)
	}
	if hypervisor {
		parts = append(parts, strings.TrimSpace("virtual machine "+name))
	}
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			parts = append(parts, "container")
			break
		}
	}
	return strings.Join(parts, ", ")
}

// firstLine is the first line of a small file, empty if there is none.
func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}
