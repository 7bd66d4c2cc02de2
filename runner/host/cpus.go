package host

import (
	"cmp"
	"slices"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
)

// SplitCPUs gives the server one half of the CPUs and the client the other, the odd one to the client, whose honesty
// depends on having a CPU for itself. With one CPU both share it. CPUs of one physical core stay together as far as
// possible: core[cpu] names the core of a CPU, and a CPU without an entry is a core of its own.
func SplitCPUs(allowed []int, core map[int]int) results.CPUSplit {
	cpus := slices.Clone(allowed)
	slices.SortFunc(cpus, func(a, b int) int { return cmp.Or(coreOf(core, a)-coreOf(core, b), a-b) })
	if len(cpus) < 2 {
		return results.CPUSplit{Server: cpus, Client: slices.Clone(cpus), Shared: true}
	}
	half := len(cpus) / 2
	for i := half; i > 0; i-- {
		if coreOf(core, cpus[i-1]) != coreOf(core, cpus[i]) {
			half = i
			break
		}
	}
	split := results.CPUSplit{Server: slices.Clone(cpus[:half]), Client: slices.Clone(cpus[half:])}
	slices.Sort(split.Server)
	slices.Sort(split.Client)
	return split
}

func coreOf(core map[int]int, cpu int) int {
	if c, ok := core[cpu]; ok {
		return c
	}
	return cpu
}

// AllowedCPUs splits the CPUs that this process may run on, or, where shared is asked for, gives all of them to both sides.
func AllowedCPUs(shared bool) (results.CPUSplit, error) {
	allowed, err := procfs.Affinity()
	switch {
	case err != nil:
		return results.CPUSplit{}, err
	case shared:
		return results.CPUSplit{Server: allowed, Client: slices.Clone(allowed), Shared: true}, nil
	}
	return SplitCPUs(allowed, procfs.Cores()), nil
}

// PinSelf lets this process, all its threads, run on these CPUs only.
func PinSelf(cpus []int) error { return procfs.SetProcessAffinity(cpus) }
