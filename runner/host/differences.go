package host

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/results"
)

// Differences lists what of the environment may change within a run and did.
func Differences(was, is results.Env) []string {
	var list []string
	note := func(what string, was, is any) {
		if was != is {
			list = append(list, fmt.Sprintf("%s was %v and is %v", what, was, is))
		}
	}
	note("cores", was.Cores, is.Cores)
	note("memory in bytes", was.MemBytes, is.MemBytes)
	note("virtual", was.Virtual, is.Virtual)
	note("millrace's Go", was.Go, is.Go)
	note("millrace", was.Millrace, is.Millrace)
	note("commit", was.Commit, is.Commit)
	note("dirty", was.Dirty, is.Dirty)
	note("governor", was.Governor, is.Governor)
	note("GOGC", was.GOGC, is.GOGC)
	note("GOMAXPROCS", was.GOMAXPROCS, is.GOMAXPROCS)
	for _, name := range keysOf(was.Sysctls, is.Sysctls) {
		note(name, was.Sysctls[name], is.Sysctls[name])
	}
	for _, name := range keysOf(was.Limits, is.Limits) {
		note("limit "+name, was.Limits[name], is.Limits[name])
	}
	return list
}

// keysOf are the keys of both, sorted.
func keysOf[V any](a, b map[string]V) []string {
	return slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string]V{a, b} {
			for k := range m {
				if !yield(k) {
					return
				}
			}
		}
	}))
}
