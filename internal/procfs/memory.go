package procfs

// Memory reads how much memory the host has left, more cheaply than Host. It is not safe for concurrent use.
type Memory struct{ meminfo *file }

// OpenMemory opens the file that tells.
func OpenMemory() (*Memory, error) {
	f, err := open("/proc/meminfo", 4096)
	return &Memory{f}, err
}

// Available is how many bytes programs can still get without swapping; Unknown where the kernel does not tell.
func (m *Memory) Available() (int64, error) {
	b, err := m.meminfo.read()
	if err != nil {
		return Unknown, err
	}
	return scaled(labelled(b, "MemAvailable:"), 1024), nil
}

// Close closes the file. It may be called more than once.
func (m *Memory) Close() { m.meminfo.close() }
