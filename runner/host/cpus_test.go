package host

import (
	"slices"
	"testing"
)

func TestSplitCPUs(t *testing.T) {
	check := func(allowed []int, core map[int]int, server, client []int, shared bool) {
		t.Helper()
		got := SplitCPUs(allowed, core)
		if !slices.Equal(got.Server, server) || !slices.Equal(got.Client, client) || got.Shared != shared {
			t.Errorf("%v (cores %v) is split into %+v", allowed, core, got)
		}
	}
	check([]int{0}, nil, []int{0}, []int{0}, true)
	check([]int{0, 1}, nil, []int{0}, []int{1}, false)
	check([]int{3, 7}, nil, []int{3}, []int{7}, false)
	check([]int{0, 1, 2}, nil, []int{0}, []int{1, 2}, false)
	check([]int{0, 1, 2, 3}, nil, []int{0, 1}, []int{2, 3}, false)
	check([]int{0, 1, 2, 3}, map[int]int{0: 0, 1: 1, 2: 0, 3: 1}, []int{0, 2}, []int{1, 3}, false) // hyper-threads
	check([]int{0, 1, 2, 3, 4, 5}, map[int]int{0: 0, 1: 0, 2: 2, 3: 2, 4: 4, 5: 4}, []int{0, 1}, []int{2, 3, 4, 5}, false)
	check([]int{0, 1}, map[int]int{0: 0, 1: 0}, []int{0}, []int{1}, false) // one core: the doctor warns
}

// Shared, both sides have all that this process may run on; split, together they have as many.
func TestAllowedCPUs(t *testing.T) {
	all, err := AllowedCPUs(true)
	if err != nil {
		t.Fatal(err)
	}
	if !all.Shared || len(all.Server) == 0 || !slices.Equal(all.Server, all.Client) {
		t.Errorf("shared: %+v", all)
	}
	split, err := AllowedCPUs(false)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(split.Server) + len(split.Client); !split.Shared && n != len(all.Server) {
		t.Errorf("split: %+v of %v", split, all.Server)
	}
}
