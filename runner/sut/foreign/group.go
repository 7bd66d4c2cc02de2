package foreign

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// maxGroup bounds the processes of one server that are looked at.
const maxGroup = 256

// Group returns the processes of a process group in ascending order: a server and its children, which stay in its group by
// contract. It reads /proc, since a kernel need not tell children.
func Group(leader int) ([]int, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var group []int
	for _, e := range names {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		// PID (NAME) STATE PPID PGRP …, and a name may hold anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 2 && string(fields[2]) == strconv.Itoa(leader) && string(fields[0]) != "Z" {
			group = append(group, pid)
		}
	}
	switch {
	case !slices.Contains(group, leader):
		return nil, fmt.Errorf("listing processes of server %d: it is not among the %d of its group in /proc: is /proc mounted with hidepid?", leader, len(group))
	case len(group) > maxGroup:
		return nil, fmt.Errorf("listing processes of server %d: %d of them, want at most %d: start fewer workers", leader, len(group), maxGroup)
	}
	slices.Sort(group)
	return group, nil
}
