package host

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

// loadConnectionBytes of memory are taken by a connection of a load alone, by both ends of it where the server is on this host:
// measured, the kernel's are 10 KB, the client's less than 250 B and a reflector's less. A server that needs more has to say so itself.
const loadConnectionBytes = 12 << 10

// replicaConnectionBytes is what a connection of a run takes at most, both ends of it and the server's own memory: the dearest
// model measured, a goroutine a connection, keeps 8 KB beside the kernel's 10 KB and the client's.
const replicaConnectionBytes = 20 << 10

// ProcessesFor is how many processes a load needs to hold connections, since one may open so many files only; 1 where that limit
// is unknown.
func ProcessesFor(connections int) int { return processesFor(connections, procfs.ReadLimits(0)) }

func processesFor(connections int, l procfs.Limits) int {
	if l.FilesPerProcess <= filesReserve {
		return 1
	}
	each := l.FilesPerProcess - filesReserve
	return int(max((int64(connections)+each-1)/each, 1))
}

// FitLoad returns the most connections of a load that so many processes on this host can hold, and which limit sets that.
func FitLoad(s *scenarios.Scenario, processes int) (most int, reason string) {
	return fitLoad(s, processes, loadConnectionBytes, procfs.ReadLimits(0))
}

// FitReplicas is FitLoad with a server on this host that runs as so many processes too.
func FitReplicas(s *scenarios.Scenario, processes int) (most int, reason string) {
	return fitLoad(s, processes, replicaConnectionBytes, procfs.ReadLimits(0))
}

func fitLoad(s *scenarios.Scenario, processes int, each int64, l procfs.Limits) (most int, reason string) {
	own := l.FilesPerProcess
	l.FilesPerProcess = procfs.Unknown
	memory := l.MemAvailableBytes
	l.MemAvailableBytes = procfs.Unknown
	least := bound{most: math.MaxInt32, reason: "no limit of this host is known"}
	all := bounds(s, l)
	if own != procfs.Unknown {
		all = append(all, bound{max((own-filesReserve)*int64(processes), 1), fmt.Sprintf("%d processes may open %d files each here (ulimit -n)", processes, own)})
	}
	if memory != procfs.Unknown {
		all = append(all, bound{max((memory-baseBytes)/each, 1), bytesText(memory) + " of memory are available"})
	}
	for _, b := range all {
		if b.most < least.most {
			least = b
		}
	}
	return int(least.most), least.reason
}
