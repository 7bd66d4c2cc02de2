package procfs

import (
	"os"
	"testing"
	"testing/fstest"
)

func TestReadLimitsOfThisHost(t *testing.T) {
	l := ReadLimits(0)
	if l.FilesPerProcess < 64 || l.FilesMax < l.FilesOpen || l.FilesOpen < 1 || l.FilesNROpen < 1024 {
		t.Errorf("files: %+v", l)
	}
	if l.PortLow < 1 || l.PortHigh <= l.PortLow || l.PortHigh > 65535 {
		t.Errorf("ports %d to %d", l.PortLow, l.PortHigh)
	}
	if l.SoMaxConn < 1 || l.TCPPressurePages < 1 || l.MemAvailableBytes < 1<<20 || l.CPUQuota < 0 {
		t.Errorf("limits %+v", l)
	}
}

func TestSysctl(t *testing.T) {
	if v := Sysctl("kernel.ostype"); v != "Linux" {
		t.Errorf("kernel.ostype = %q", v)
	}
	if v := Sysctl("kernel.no_such_setting"); v != "" {
		t.Errorf("a setting that is none = %q", v)
	}
	if v := sysctlNumber("net.ipv4.tcp_mem", 3); v != Unknown {
		t.Errorf("the fourth of three values is %d", v)
	}
}

func TestCPUQuota(t *testing.T) {
	check := func(want float64, files map[string]string) {
		t.Helper()
		tree := fstest.MapFS{}
		for name, text := range files {
			tree[name] = &fstest.MapFile{Data: []byte(text), Mode: os.ModePerm}
		}
		if got := cpuQuota(tree); got != want {
			t.Errorf("%v: quota %v, want %v", files, got, want)
		}
	}
	check(0, nil)
	check(0, map[string]string{"proc/self/cgroup": "0::/\n"})
	check(0, map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"})
	check(1.5, map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
		"sys/fs/cgroup/a/cpu.max": "150000 100000\n"})
	check(0.5, map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "50000 100000\n",
		"sys/fs/cgroup/a/cpu.max": "150000 100000\n"})
	check(2, map[string]string{"proc/self/cgroup": "3:memory:/m\n1:cpu,cpuacct:/c\n",
		"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us": "200000\n", "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us": "100000\n"})
	check(0, map[string]string{"proc/self/cgroup": "1:cpu:/\nrubbish\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
		"sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"})
}
