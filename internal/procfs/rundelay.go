package procfs

// RunDelay reads how long one thread was ready to run and had no CPU. It is not safe for concurrent use.
type RunDelay struct{ stat *file }

// OpenRunDelay opens the file of the calling thread, which must stay locked. An error is that of a kernel without it
// (CONFIG_SCHED_INFO).
func OpenRunDelay() (*RunDelay, error) {
	f, err := open("/proc/thread-self/schedstat", 128)
	if err != nil {
		return nil, err
	}
	return &RunDelay{f}, nil
}

// Close closes the file. It may be called more than once, and of nil.
func (r *RunDelay) Close() {
	if r != nil {
		r.stat.close()
	}
}

// Read returns the time since the thread's start in ns, or Unknown, also of nil. It takes one system call and allocates
// nothing.
func (r *RunDelay) Read() int64 {
	if r == nil {
		return Unknown
	}
	b, err := r.stat.read()
	if err != nil {
		return Unknown
	}
	// time on a CPU, time waiting for one, number of times on one
	v, _ := number(skip(b, 1))
	return v
}
