package host

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// roomy is a host with two CPUs on which every embedded scenario fits.
func roomy() procfs.Limits {
	return procfs.Limits{
		FilesPerProcess: 1 << 20, FilesOpen: 1000, FilesMax: 1 << 30, FilesNROpen: 1 << 20, PortLow: 32768, PortHigh: 60999,
		SoMaxConn: 1 << 16, SynBacklog: 1 << 16, TimeWaitBuckets: 1 << 20, TCPPressurePages: 1 << 22, MemAvailableBytes: 64 << 30,
		ConntrackMax: procfs.Unknown, ConntrackCount: procfs.Unknown, LoopbackPool: true,
	}
}

func scenario(t *testing.T, name string, set ...string) *scenarios.Scenario {
	t.Helper()
	return must(must(scenarios.Named(name)).Apply(set))
}

// fast makes churn outrun the kernel's common limit of sockets in TIME_WAIT.
var fast = []string{"phases.warmup.arrivals.constant=5000/s", "phases.churn.arrivals.constant=5000/s"}

func TestDoctorFindsWhatIsShort(t *testing.T) {
	two := results.CPUSplit{Server: []int{0}, Client: []int{1}}
	for _, name := range scenarios.Names {
		for _, f := range diagnose(scenario(t, name), two, roomy()) {
			if !f.OK || f.Fix != "" || f.Present == "" || f.Needed == "" {
				t.Errorf("%s on a roomy host: %+v", name, f)
			}
		}
	}
	check := func(s *scenarios.Scenario, split results.CPUSplit, change func(*procfs.Limits), name, severity, present, needed, fix string) {
		t.Helper()
		l := roomy()
		change(&l)
		var bad []Finding
		for _, f := range diagnose(s, split, l) {
			if !f.OK {
				bad = append(bad, f)
			}
		}
		if len(bad) != 1 || bad[0].Name != name || bad[0].Severity != severity || bad[0].Present != present ||
			bad[0].Needed != needed || !strings.Contains(bad[0].Fix, fix) {
			t.Errorf("findings %+v, want %s with %q for %q", bad, name, present, needed)
		}
	}
	million := scenario(t, "million", "replicas=8")
	check(million, two, func(l *procfs.Limits) { l.FilesPerProcess, l.FilesNROpen = 100_000, 1<<20 }, "open files per process", Blocking, "100000", "125100", "ulimit -n 125100")
	burst, churn := scenario(t, "burst"), scenario(t, "churn", fast...)
	none := func(*procfs.Limits) {}
	check(burst, two, func(l *procfs.Limits) { l.FilesPerProcess = 4096 }, "open files per process", Blocking, "4096", "10100", "ulimit -n 10100")
	check(burst, two, func(l *procfs.Limits) { l.FilesPerProcess, l.FilesNROpen = 4096, 4096 }, "open files per process", Blocking, "4096", "10100",
		"fs.nr_open=10100")
	check(burst, two, func(l *procfs.Limits) { l.FilesMax = 20000 }, "open files of all processes", Blocking, "20000", "21200", "fs.file-max=21200")
	check(burst, two, func(l *procfs.Limits) { l.MemAvailableBytes = 512 << 20 }, "memory available", Blocking, "512 MiB", "1000 MiB", "connections.count=1")
	check(burst, two, func(l *procfs.Limits) { l.PortHigh, l.LoopbackPool = 33767, false }, "ports to connect from", Blocking, "1000", "10000",
		"ip_local_port_range")
	check(burst, two, func(l *procfs.Limits) { l.SoMaxConn = 128 }, "accept backlog", Warning, "128", "500", "somaxconn=500")
	check(burst, two, func(l *procfs.Limits) { l.SynBacklog = 128 }, "handshake backlog", Warning, "128", "500", "tcp_max_syn_backlog=500")
	check(burst, two, func(l *procfs.Limits) { l.TCPPressurePages = 1000 }, "TCP memory, pages", Warning, "1000", "20000", "tcp_mem='15000 20000 30000'")
	check(churn, two, func(l *procfs.Limits) { l.TimeWaitBuckets = 131072 }, "sockets in TIME_WAIT", Warning, "131072", "300000", "tcp_max_tw_buckets=300000")
	check(churn, two, func(l *procfs.Limits) { l.ConntrackMax, l.ConntrackCount = 262144, 144 }, "connection tracking entries", Warning, "262000", "602000",
		"nf_conntrack_max=602144")
	check(burst, results.CPUSplit{Server: []int{0}, Client: []int{0}, Shared: true}, none, "CPUs", Warning, "server [0], client [0]", "one each", "two CPUs")
	check(burst, two, func(l *procfs.Limits) { l.Core = map[int]int{0: 0, 1: 0} }, "CPUs", Warning, "server 0 and client 1 are one physical core", "one each", "lscpu")
	check(burst, two, func(l *procfs.Limits) { l.StealShare = 0.05 }, "CPU time stolen", Warning, "5.0 %", "at most 2 %", "quieter")
	check(burst, two, func(l *procfs.Limits) { l.CPUQuota = 1.5 }, "CPU quota of the control group", Warning, "1.50 CPUs", "none, or 2 CPUs", "--cpus=2")
}

func TestFitConnections(t *testing.T) {
	check := func(change func(*procfs.Limits), most int, reason string) {
		t.Helper()
		l := roomy()
		change(&l)
		if got, why := fit(scenario(t, "burst"), l); got != most || !strings.Contains(why, reason) {
			t.Errorf("%d connections fit (%s), want %d (%s)", got, why, most, reason)
		}
	}
	check(func(l *procfs.Limits) { l.FilesPerProcess = 20000 }, 19900, "20000 files")
	check(func(l *procfs.Limits) { l.FilesMax = 11200 }, 5000, "fs.file-max")
	check(func(l *procfs.Limits) { l.MemAvailableBytes = 1 << 30 }, 10485, "1.0 GiB")
	check(func(l *procfs.Limits) { l.LoopbackPool = false }, 28232, "1 source addresses")
	check(func(l *procfs.Limits) { l.FilesPerProcess = 10 }, 1, "10 files")
	check(func(l *procfs.Limits) {
		*l = procfs.Limits{FilesPerProcess: procfs.Unknown, FilesMax: procfs.Unknown, MemAvailableBytes: procfs.Unknown}
	}, 1<<31-1, "no limit")
}

func TestSourceAddresses(t *testing.T) {
	check := func(s *scenarios.Scenario, n int, last string) {
		t.Helper()
		pool := sources(s, roomy())
		if len(pool) != n || n > 0 && (pool[0] != "127.0.0.2" || pool[n-1] != last) {
			t.Errorf("%s: %d addresses %v, want %d up to %s", s.Name, len(pool), pool, n, last)
		}
	}
	check(scenario(t, "burst"), 0, "")
	check(scenario(t, "burst", "connections.count=14116"), 0, "")
	check(scenario(t, "burst", "connections.count=14117"), 2, "127.0.0.3")
	check(scenario(t, "churn", fast...), 22, "127.0.0.23") // 300 000 in TIME_WAIT and 2000 open, 14 116 ports of each address
	check(scenario(t, "churn", "connections.close=rst"), 0, "")
	check(scenario(t, "burst", "connections.count=10000000"), 709, "127.0.2.210")
	l := roomy()
	l.LoopbackPool = false
	if pool := sources(scenario(t, "churn"), l); pool != nil {
		t.Errorf("addresses %v that this host can't use", pool)
	}
}
