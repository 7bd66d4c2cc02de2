package procfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// maxCPUs is the size of the kernel's CPU set that x/sys/unix passes.
const maxCPUs = 1024

// Affinity returns the CPUs that the calling thread may run on, in increasing order.
func Affinity() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("reading the CPU affinity: %w", err)
	}
	cpus := make([]int, 0, set.Count())
	for cpu := range maxCPUs {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// SetAffinity lets the calling thread run on these CPUs only; the caller has locked it. Processes and threads started
// by it inherit the set.
func SetAffinity(cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= maxCPUs {
			return fmt.Errorf("setting the CPU affinity to %v: want CPUs from 0 to %d", cpus, maxCPUs-1)
		}
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("setting the CPU affinity to %v: %w", cpus, err)
	}
	return nil
}
