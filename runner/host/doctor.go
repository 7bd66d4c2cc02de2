package host

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// What connections need, as estimates on the safe side.
const (
	filesReserve = 100 // of a process, beside its connections: libraries, epolls, logs
	// Memory of one connection, idle: 16 KiB for a server's goroutine and buffers, 1 KiB for the client's table, 8 KiB
	// for the kernel's sockets at both ends, doubled.
	connectionBytes = 50 << 10
	baseBytes       = 512 << 20 // runtimes, histograms, readings
	timeWaitSeconds = 60        // TCP_TIMEWAIT_LEN of Linux
	// closedChurnRPS is assumed where a closed loop opens connections as fast as it can: what two cores reach.
	closedChurnRPS = 30_000
	// portsFilled is how much of the ports of one source address are used; fuller, each connect searches long.
	portsFilled = 0.5
	maxSources  = 1000
	stallFor    = 100 * time.Millisecond // how long a server may not accept and lose nothing
	stealFor    = 500 * time.Millisecond // how long the doctor watches the hypervisor: 1 % is one tick of 2 CPUs
	maxSteal    = 0.02                   // docs/METHOD.md: generator CPU
)

// Severities of a finding that is not OK.
const (
	Warning  = "warning" // the run goes on, and what it measures may suffer
	Blocking = "short"   // the host can't hold the scenario: a run scales it down
)

// Finding is one line of the doctor: what the host has, what the scenario needs, and the command that mends it.
type Finding struct {
	Name     string
	Present  string
	Needed   string
	OK       bool
	Severity string // Warning or Blocking
	Fix      string // empty if OK
}

// Doctor compares what a scenario needs with what this host allows. It watches the host for 0.5 s.
func Doctor(s *scenarios.Scenario, split results.CPUSplit) []Finding {
	return diagnose(s, split, procfs.ReadLimits(stealFor))
}

// FitConnections returns the most connections of this scenario that this host can hold, and which limit sets that.
func FitConnections(s *scenarios.Scenario) (most int, reason string) {
	return fit(s, procfs.ReadLimits(0))
}

// SourceAddresses returns the loopback addresses that a load on 127.0.0.1 has to connect from, because one address does
// not have ports enough. It is empty where the kernel's choice will do.
func SourceAddresses(s *scenarios.Scenario) []string {
	return sources(s, procfs.ReadLimits(0))
}

// demand is what a scenario asks of a host.
type demand struct {
	connections int64
	perProcess  int64   // of them, that one process of the server or of the client holds
	bytesEach   int64   // of memory that a connection may take
	opensPerSec float64 // new connections a second while they last
	timeWait    int64   // sockets in TIME_WAIT once they come and go at a steady pace
}

func demandOf(s *scenarios.Scenario) demand {
	c := &s.Connections
	d := demand{connections: int64(c.Count), opensPerSec: float64(c.Rate)}
	if c.Requests == 0 {
		if c.Rate == 0 {
			d.opensPerSec = float64(c.Count) / stallFor.Seconds()
		}
		return d
	}
	seconds := 0.0
	opened := 0.0
	for _, p := range s.Phases {
		length := time.Duration(p.For)
		rate, peak := p.Arrivals.Rate(length), p.Arrivals.Peak(length)
		if p.Arrivals.Closed {
			rate, peak = closedChurnRPS, closedChurnRPS
		}
		rate /= float64(c.Requests)
		d.opensPerSec = max(d.opensPerSec, peak/float64(c.Requests))
		seconds += length.Seconds()
		opened += rate * length.Seconds()
	}
	if c.Close != "rst" && seconds > 0 {
		// Trials follow one another: a short one meets what the ones before it left.
		d.timeWait = int64(math.Ceil(max(opened, opened/seconds*timeWaitSeconds)))
	}
	return d
}

// sourcesNeeded is how many source addresses hold n sockets towards one server port.
func sourcesNeeded(n int64, l procfs.Limits) int64 {
	perAddress := int64(float64(l.PortHigh-l.PortLow+1) * portsFilled)
	if perAddress < 1 {
		return 1
	}
	return (n + perAddress - 1) / perAddress
}

func sources(s *scenarios.Scenario, l procfs.Limits) []string {
	d := demandOf(s)
	n := sourcesNeeded(d.connections+d.timeWait, l)
	if n <= 1 || !l.LoopbackPool {
		return nil
	}
	pool := make([]string, min(n, maxSources))
	for i := range pool {
		pool[i] = fmt.Sprintf("127.0.%d.%d", i/250, 2+i%250)
	}
	return pool
}

// bound is one limit on the number of connections.
type bound struct {
	most   int64
	reason string
}

func bounds(s *scenarios.Scenario, l procfs.Limits) []bound {
	d := demandOf(s)
	var all []bound
	add := func(known bool, most int64, format string, args ...any) {
		if known {
			all = append(all, bound{max(most, 1), fmt.Sprintf(format, args...)})
		}
	}
	add(l.FilesPerProcess >= 0, l.FilesPerProcess-filesReserve, "a process may open %d files here (ulimit -n)", l.FilesPerProcess)
	add(l.FilesMax >= 0, (l.FilesMax-max(l.FilesOpen, 0)-2*filesReserve)/2, "all processes together may open %d files here (fs.file-max)", l.FilesMax)
	add(l.MemAvailableBytes >= 0, (l.MemAvailableBytes-baseBytes)/connectionBytes, "%s of memory are available", bytesText(l.MemAvailableBytes))
	if l.PortLow > 0 {
		addresses := int64(1)
		if l.LoopbackPool {
			addresses = maxSources
		}
		ports := l.PortHigh - l.PortLow + 1
		add(true, addresses*ports-d.timeWait, "%d source addresses have %d ports each (net.ipv4.ip_local_port_range)", addresses, ports)
	}
	return all
}

func fit(s *scenarios.Scenario, l procfs.Limits) (most int, reason string) {
	least := bound{most: math.MaxInt32, reason: "no limit of this host is known"}
	for _, b := range bounds(s, l) {
		if b.most < least.most {
			least = b
		}
	}
	return int(least.most), least.reason
}

// diagnose is Doctor for given limits.
func diagnose(s *scenarios.Scenario, split results.CPUSplit, l procfs.Limits) []Finding {
	d := demandOf(s)
	d.perProcess, d.bytesEach = d.connections, connectionBytes
	replicas := int64(s.Replicas.Number())
	if s.Replicas == scenarios.Auto {
		replicas = int64(processesFor(s.Connections.Count, l))
	}
	if replicas > 1 {
		d.perProcess, d.bytesEach = (d.connections+replicas-1)/replicas, replicaConnectionBytes
	}
	found := slices.Concat(filesFindings(d, l), portFindings(d, l), kernelFindings(s, d, l), cpuFindings(split, l))
	for i := range found {
		if found[i].OK {
			found[i].Fix = ""
		}
	}
	return found
}

func atLeast(name string, present, needed int64, severity, fix string) Finding {
	f := Finding{
		Name: name, Present: fmt.Sprint(present), Needed: fmt.Sprint(needed), OK: present >= needed, Severity: severity, Fix: fix,
	}
	if present == procfs.Unknown {
		f.Present, f.OK = "unknown", true
	}
	return f
}

func filesFindings(d demand, l procfs.Limits) []Finding {
	need := d.perProcess + filesReserve
	raise := fmt.Sprintf("as root: ulimit -n %d, or for good: echo '* - nofile %d' >> /etc/security/limits.conf", need, need)
	if l.FilesNROpen != procfs.Unknown && need > l.FilesNROpen {
		raise = fmt.Sprintf("as root: sysctl -w fs.nr_open=%d && ulimit -n %d", need, need)
	}
	raise += fmt.Sprintf("; or --set connections.count=%d", max(l.FilesPerProcess-filesReserve, 1))
	all := 2*(d.connections+filesReserve) + max(l.FilesOpen, 0)
	memory := baseBytes + d.connections*d.bytesEach
	available := atLeast("memory available", l.MemAvailableBytes, memory, Blocking,
		fmt.Sprintf("end other programs; or --set connections.count=%d", max((l.MemAvailableBytes-baseBytes)/d.bytesEach, 1)))
	available.Needed = bytesText(memory)
	if l.MemAvailableBytes != procfs.Unknown {
		available.Present = bytesText(l.MemAvailableBytes)
	}
	return []Finding{
		atLeast("open files per process", l.FilesPerProcess, need, Blocking, raise),
		atLeast("open files of all processes", l.FilesMax, all, Blocking, fmt.Sprintf("sysctl -w fs.file-max=%d", all)),
		available,
	}
}

func portFindings(d demand, l procfs.Limits) []Finding {
	var found []Finding
	if l.PortLow > 0 {
		sockets := d.connections + d.timeWait
		addresses, ports := sourcesNeeded(sockets, l), l.PortHigh-l.PortLow+1
		f := atLeast("ports to connect from", ports, sockets, Blocking, "sysctl -w net.ipv4.ip_local_port_range='10000 65535'")
		if l.LoopbackPool && addresses > 1 {
			addresses = min(addresses, maxSources)
			f.Present = fmt.Sprintf("%d (%d addresses of 127.0.0.0/8 × %d)", addresses*ports, addresses, ports)
			f.OK = addresses*ports >= sockets
		}
		if d.timeWait > 0 {
			f.Needed = fmt.Sprintf("%d (%d in TIME_WAIT)", sockets, d.timeWait)
		}
		found = append(found, f)
	}
	if d.timeWait > 0 {
		f := atLeast("sockets in TIME_WAIT", l.TimeWaitBuckets, d.timeWait, Warning,
			fmt.Sprintf("sysctl -w net.ipv4.tcp_max_tw_buckets=%d; beyond it the kernel forgets them early", d.timeWait))
		found = append(found, f)
	}
	return found
}

func kernelFindings(s *scenarios.Scenario, d demand, l procfs.Limits) []Finding {
	backlog := min(int64(math.Ceil(d.opensPerSec*stallFor.Seconds())), d.connections)
	// Small buffers at both ends are charged by the page, a payload in flight about twice.
	pages := 2 * d.connections * int64(1+s.Connections.Pipeline*s.Payload*2/4096)
	found := []Finding{
		atLeast("accept backlog", l.SoMaxConn, backlog, Warning, fmt.Sprintf("sysctl -w net.core.somaxconn=%d", backlog)),
		atLeast("handshake backlog", l.SynBacklog, backlog, Warning, fmt.Sprintf("sysctl -w net.ipv4.tcp_max_syn_backlog=%d", backlog)),
		atLeast("TCP memory, pages", l.TCPPressurePages, pages, Warning,
			fmt.Sprintf("sysctl -w net.ipv4.tcp_mem='%d %d %d'", pages*3/4, pages, pages*3/2)),
	}
	if l.ConntrackMax > 0 {
		need := d.connections + d.timeWait*2 // conntrack keeps a closed connection for 120 s
		found = append(found, atLeast("connection tracking entries", l.ConntrackMax-max(l.ConntrackCount, 0), need, Warning,
			fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d, or exempt loopback: iptables -t raw -I OUTPUT -o lo -j NOTRACK", need+max(l.ConntrackCount, 0))))
	}
	return found
}

func cpuFindings(split results.CPUSplit, l procfs.Limits) []Finding {
	cpus := Finding{
		Name: "CPUs", Present: fmt.Sprintf("server %v, client %v", split.Server, split.Client), Needed: "one each", OK: !split.Shared,
		Severity: Warning, Fix: "give this machine or container two CPUs at least; until then client and server disturb each other",
	}
	for _, server := range split.Server {
		for _, client := range split.Client {
			if cpus.OK && coreOf(l.Core, server) == coreOf(l.Core, client) {
				cpus.OK = false
				cpus.Present = fmt.Sprintf("server %d and client %d are one physical core", server, client)
				cpus.Fix = "taskset -c CPUS bin/millrace …, with CPUs of several cores (lscpu -e)"
			}
		}
	}
	steal := Finding{
		Name: "CPU time stolen", Present: fmt.Sprintf("%.1f %%", 100*l.StealShare), Needed: fmt.Sprintf("at most %.0f %%", 100*maxSteal),
		OK: l.StealShare <= maxSteal, Severity: Warning, Fix: "wait for a quieter host, or take one with dedicated CPUs",
	}
	all := len(split.Server) + len(split.Client)
	if split.Shared {
		all = len(split.Server)
	}
	quota := Finding{Name: "CPU quota of the control group", Present: "none", Needed: fmt.Sprintf("none, or %d CPUs", all), OK: true, Severity: Warning}
	if l.CPUQuota > 0 {
		quota.Present = strings.TrimSuffix(fmt.Sprintf("%.2f", l.CPUQuota), ".00") + " CPUs"
		quota.OK = l.CPUQuota >= float64(all)
		quota.Fix = fmt.Sprintf("raise it (docker run --cpus=%d), or pin instead: docker run --cpuset-cpus=…; a throttled server stands still", all)
	}
	return []Finding{cpus, steal, quota}
}

func bytesText(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
