package procfs

import (
	"fmt"
	"os"
)

// BusyTime is the time in ns since boot that processes of all kinds, ended ones included, ran on this host, over all CPUs, and
// that the hypervisor ran others instead. Interrupts are left out: over loopback they are the load's own. Its resolution is
// 10 ms.
func BusyTime() (int64, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("reading the CPUs' times: %w", err)
	}
	// cpu  user nice system idle iowait irq softirq steal
	columns := after(b, "cpu  ")
	var ticks int64
	for _, i := range []int{0, 1, 2, 7} {
		n, _ := number(skip(columns, i))
		if n == Unknown {
			return 0, fmt.Errorf("reading /proc/stat: column %d is no number", i)
		}
		ticks += n
	}
	return ticks * tickNs, nil
}
