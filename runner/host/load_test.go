package host

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

func TestLoadsOfSeveralProcesses(t *testing.T) {
	l := roomy()
	l.FilesPerProcess = 20_000
	for connections, want := range map[int]int{1: 1, 19_900: 1, 19_901: 2, 1_000_000: 51} {
		if got := processesFor(connections, l); got != want {
			t.Errorf("%d connections: %d processes, want %d", connections, got, want)
		}
	}
	check := func(processes, want int, reason string) {
		t.Helper()
		s := &scenarios.Scenario{Connections: scenarios.Connections{Count: 1_000_000}}
		if most, why := fitLoad(s, processes, loadConnectionBytes, l); most != want || !strings.Contains(why, reason) {
			t.Errorf("%d processes: %d, %q, want %d and %q", processes, most, why, want, reason)
		}
	}
	check(51, 51*19_900, "51 processes may open 20000 files each")
	l.MemAvailableBytes = baseBytes + 500_000*loadConnectionBytes
	check(51, 500_000, "memory")
	l.MemAvailableBytes, l.FilesMax = procfs.Unknown, 1_000_000
	check(51, 499_400, "fs.file-max")
	l.FilesPerProcess = procfs.Unknown
	if processesFor(1<<20, l) != 1 {
		t.Error("several processes where no limit is known")
	}
}
