package procfs

import (
	"bytes"
	"fmt"
	"os"
	"slices"
)

// Host reads the counters of the network namespace and the machine that the caller runs on. It is not safe for
// concurrent use.
type Host struct {
	sockstat, meminfo, stat *file
	netstat, snmp           table
	page                    int64
}

// Counters are the host's. Both ends of every loopback connection are in them. Unknown (−1) where the kernel does not
// tell. Events and StealNs count since boot.
type Counters struct {
	SocketBytes     int64 // memory of all TCP sockets' buffers; the kernel settles it in steps of about 1 MiB per CPU
	SlabBytes       int64 // kernel objects, the sockets themselves among them
	AvailableBytes  int64 // memory that programs can still get without swapping
	SocketsInUse    int64 // TCP, IPv4; TIME_WAIT not included
	TimeWait        int64
	ListenOverflows int64
	ListenDrops     int64
	Retransmits     int64 // segments sent again, SYNs and loss probes included
	SynRetransmits  int64
	BacklogDrops    int64
	StealNs         int64 // over all CPUs
}

// OpenHost opens the host's files.
func OpenHost() (*Host, error) {
	h := &Host{page: int64(os.Getpagesize())}
	opened := func(f **file, path string, size int) (err error) {
		*f, err = open(path, size)
		return err
	}
	for _, err := range []error{
		opened(&h.sockstat, "/proc/net/sockstat", 1024),
		opened(&h.meminfo, "/proc/meminfo", 4096),
		opened(&h.stat, "/proc/stat", 16384),
		opened(&h.netstat.file, "/proc/net/netstat", 16384),
		opened(&h.snmp.file, "/proc/net/snmp", 8192),
		h.netstat.find("TcpExt:", "ListenOverflows", "ListenDrops", "TCPSynRetrans", "TCPBacklogDrop"),
		h.snmp.find("Tcp:", "RetransSegs"),
	} {
		if err != nil {
			h.Close()
			return nil, err
		}
	}
	return h, nil
}

// Close closes the files. It may be called more than once.
func (h *Host) Close() {
	for _, f := range []*file{h.sockstat, h.meminfo, h.stat, h.netstat.file, h.snmp.file} {
		f.close()
	}
}

// Read reads the counters, without allocation, in ten system calls.
func (h *Host) Read() (Counters, error) {
	var c Counters
	b, err := h.sockstat.read()
	if err != nil {
		return c, err
	}
	// TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 190
	tcp := after(b, "TCP: ")
	c.SocketsInUse, _ = number(after(tcp, "inuse "))
	c.TimeWait, _ = number(after(tcp, "tw "))
	pages, _ := number(after(tcp, "mem "))
	c.SocketBytes = scaled(pages, h.page)
	if b, err = h.meminfo.read(); err != nil {
		return c, err
	}
	c.SlabBytes, c.AvailableBytes = scaled(labelled(b, "Slab:"), 1024), scaled(labelled(b, "MemAvailable:"), 1024)
	if b, err = h.stat.read(); err != nil {
		return c, err
	}
	// cpu  user nice system idle iowait irq softirq steal
	steal, _ := number(skip(after(b, "cpu  "), 7))
	c.StealNs = scaled(steal, tickNs)
	if err = h.netstat.read(); err != nil {
		return c, err
	}
	v := h.netstat.values
	c.ListenOverflows, c.ListenDrops, c.SynRetransmits, c.BacklogDrops = v[0], v[1], v[2], v[3]
	if err = h.snmp.read(); err != nil {
		return c, err
	}
	c.Retransmits = h.snmp.values[0]
	return c, nil
}

// after returns what follows the first occurrence of mark; nothing without one.
func after(b []byte, mark string) []byte {
	for i := 0; i+len(mark) <= len(b); i++ {
		if string(b[i:i+len(mark)]) == mark {
			return b[i+len(mark):]
		}
	}
	return nil
}

// table reads chosen columns of a file that has a line of names and a line of values with the same prefix.
type table struct {
	*file
	prefix string
	column []int   // column[i] is the place of the i-th wanted name, or Unknown
	values []int64 // values[i] belongs to column[i]
}

// find looks the names up once; the kernel does not change the columns while it runs.
func (t *table) find(prefix string, names ...string) error {
	if t.file == nil {
		return fmt.Errorf("reading %s: not open", prefix)
	}
	b, err := t.file.read()
	if err != nil {
		return err
	}
	t.prefix, t.values = prefix+" ", make([]int64, len(names))
	header, _, _ := bytes.Cut(after(b, t.prefix), []byte("\n"))
	fields := bytes.Fields(header)
	for _, name := range names {
		t.column = append(t.column, slices.IndexFunc(fields, func(f []byte) bool { return string(f) == name }))
	}
	return nil
}

func (t *table) read() error {
	b, err := t.file.read()
	if err != nil {
		return err
	}
	line := after(after(b, t.prefix), t.prefix)
	for i, column := range t.column {
		t.values[i] = Unknown
		if column >= 0 {
			t.values[i], _ = number(skip(line, column))
		}
	}
	return nil
}
