package procfs

import (
	"slices"
	"testing"
)

func TestThrottled(t *testing.T) {
	for _, c := range []struct {
		stat        string
		periods, ns int64
	}{
		{"nr_periods 10\nnr_throttled 3\nthrottled_time 4500000\n", 3, 4_500_000},
		{"usage_usec 5\nnr_periods 10\nnr_throttled 2\nthrottled_usec 70\nnr_bursts 0\n", 2, 70_000},
		{"nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", 0, 0},
	} {
		if n, ns := throttled([]byte(c.stat)); n != c.periods || ns != c.ns {
			t.Errorf("%q: %d periods, %d ns, want %d and %d", c.stat, n, ns, c.periods, c.ns)
		}
	}
}

func TestCPUGroups(t *testing.T) {
	got := cpuGroups("5:memory:/m\n3:cpu,cpuacct:/a/b\n0::/c\n")
	want := []string{
		"/sys/fs/cgroup/cpu,cpuacct/a/b", "/sys/fs/cgroup/cpu,cpuacct/a", "/sys/fs/cgroup/cpu,cpuacct",
		"/sys/fs/cgroup/c", "/sys/fs/cgroup", "/sys/fs/cgroup/unified/c", "/sys/fs/cgroup/unified",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestThrottlingAndStealGrow(t *testing.T) {
	th := OpenThrottling()
	defer th.Close()
	n, ns := th.Read()
	again, nsAgain := th.Read()
	if again < n || nsAgain < ns {
		t.Errorf("throttled %d periods and %d ns, then %d and %d", n, ns, again, nsAgain)
	}
	s := must[*Steal](t)(OpenSteal(must[[]int](t)(Affinity())))
	defer s.Close()
	first, second := s.Read(), s.Read()
	if first < 0 || second < first {
		t.Errorf("steal %d, then %d", first, second)
	}
	if n := testing.AllocsPerRun(10, func() { th.Read(); s.Read() }); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
	all := must[*Host](t)(OpenHost())
	defer all.Close()
	before := must[Counters](t)(all.Read()).StealNs
	if sum := s.Read(); sum < before-tickNs && len(must[[]int](t)(Affinity())) == len(Cores()) {
		t.Errorf("steal of all CPUs %d, the host's %d", sum, before)
	}
	var none *Steal
	if none.Read() != Unknown {
		t.Error("nothing opened, yet read")
	}
}
