package procfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"

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
func SetAffinity(cpus []int) error { return setAffinity(0, cpus) }

// SetProcessAffinity lets all threads of the calling process run on these CPUs only, and those that it starts later.
func SetProcessAffinity(cpus []int) error {
	const rounds = 10 // a thread may start another one while they are listed; the new one is found in the next round
	done := map[string]bool{}
	for range rounds {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("listing threads: %w", err)
		}
		before := len(done)
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil || done[task.Name()] {
				continue
			}
			if err := setAffinity(tid, cpus); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			done[task.Name()] = true
		}
		if len(done) == before {
			return nil
		}
	}
	return fmt.Errorf("setting the CPU affinity to %v: threads keep coming after %d rounds", cpus, rounds)
}

func setAffinity(tid int, cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= maxCPUs {
			return fmt.Errorf("setting the CPU affinity to %v: want CPUs from 0 to %d", cpus, maxCPUs-1)
		}
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("setting the CPU affinity to %v: %w", cpus, err)
	}
	return nil
}
