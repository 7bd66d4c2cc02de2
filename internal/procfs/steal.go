package procfs

import "strconv"

// Steal reads the time that the hypervisor took from some CPUs. It is not safe for concurrent use.
type Steal struct {
	stat   *file
	labels []string // "cpu3 ", in no order
}

// OpenSteal opens /proc/stat for these CPUs.
func OpenSteal(cpus []int) (*Steal, error) {
	f, err := open("/proc/stat", 16384)
	if err != nil {
		return nil, err
	}
	s := &Steal{stat: f}
	for _, cpu := range cpus {
		s.labels = append(s.labels, "cpu"+strconv.Itoa(cpu)+" ")
	}
	return s, nil
}

// Close closes the file. It may be called more than once, and of nil.
func (s *Steal) Close() {
	if s != nil {
		s.stat.close()
	}
}

// Read returns the sum over the CPUs since boot in ns, in steps of 10 ms, or Unknown. It allocates nothing.
func (s *Steal) Read() int64 {
	if s == nil {
		return Unknown
	}
	b, err := s.stat.read()
	if err != nil || len(s.labels) == 0 {
		return Unknown
	}
	var sum int64
	for _, label := range s.labels {
		// cpu0 user nice system idle iowait irq softirq steal
		v, _ := number(skip(after(b, label), 7))
		if v == Unknown {
			return Unknown
		}
		sum += v
	}
	return sum * tickNs
}
