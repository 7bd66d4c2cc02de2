package sut

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
)

// outside is what is read without the server's help.
type outside struct {
	usage                               procfs.Usage
	host                                procfs.Counters
	pss, files, twServer, twClient, cpu int64
}

// readOutside reads what is cheap, and open files at edges and once a second. What takes ms of the CPU that the server
// needs is read where no phase is measured: PSS and the sides of TIME_WAIT, at the first edge and in the end.
func (s *Sampler) readOutside(edge string, final bool) error {
	first, end := edge != "" && s.edge == 0, edge == EndEdge || final
	o := &outside{pss: procfs.Unknown, files: procfs.Unknown, twServer: procfs.Unknown, twClient: procfs.Unknown}
	var err error
	if o.usage, err = s.usage.read(); err != nil {
		return fmt.Errorf("sampling server %s: %w", s.servers.First().command.Name, err)
	}
	if o.host, err = s.host.Read(); err != nil {
		return fmt.Errorf("sampling the host: %w", err)
	}
	if edge != "" || final || s.stats.Readings%filesEvery == 0 {
		o.files = s.usage.sum((*procfs.Process).Files)
	}
	if first || end {
		o.pss = s.usage.sum((*procfs.Process).PSS)
		if port, err := s.servers.port(); err == nil && len(s.servers.all) == 1 {
			if server, client, err := procfs.TimeWait(port); err == nil {
				o.twServer, o.twClient = server, client
			}
		}
	}
	o.cpu = procfs.Unknown
	if cpu, err := procfs.CPUTime(0); err == nil {
		o.cpu = cpu - s.cpu0
	}
	s.outside = o
	return nil
}

// watchForeign reads the other processes' CPU clocks where the first phase after connecting begins, and when the last
// one is over.
func (s *Sampler) watchForeign(edge string, final bool) {
	begin := 0
	if len(s.edges) > 2 { // connect, a phase, end
		begin = 1
	}
	switch {
	case edge == EndEdge || final:
		if s.clocks != nil {
			s.stats.ForeignCPUNs, s.stats.ForeignSpanNs, s.unread = s.clocks.Foreign(slices.Concat(s.pids, s.beside)...)
			s.clocks = nil
		}
	case edge != "" && s.edge == begin:
		s.clocks, s.unread = procfs.ReadCPUClocks()
	}
}

// fill puts the values where they belong, as pointers into o; they have the last word over what the server says.
func (o *outside) fill(r *results.Reading) {
	for _, f := range []struct {
		to **int64
		v  *int64
	}{
		{&r.RSSBytes, &o.usage.RSSBytes}, {&r.RSSAnonBytes, &o.usage.RSSAnonBytes}, {&r.RSSPeakBytes, &o.usage.RSSPeakBytes},
		{&r.PSSBytes, &o.pss}, {&r.CPUUserNs, &o.usage.CPUUserNs}, {&r.CPUSystemNs, &o.usage.CPUSystemNs},
		{&r.Threads, &o.usage.Threads}, {&r.Files, &o.files},
		{&r.SocketBytes, &o.host.SocketBytes}, {&r.SlabBytes, &o.host.SlabBytes}, {&r.AvailableBytes, &o.host.AvailableBytes}, {&r.SocketsInUse, &o.host.SocketsInUse},
		{&r.TimeWait, &o.host.TimeWait}, {&r.TimeWaitServer, &o.twServer}, {&r.TimeWaitClient, &o.twClient},
		{&r.ListenOverflows, &o.host.ListenOverflows}, {&r.ListenDrops, &o.host.ListenDrops},
		{&r.Retransmits, &o.host.Retransmits}, {&r.SynRetransmits, &o.host.SynRetransmits},
		{&r.BacklogDrops, &o.host.BacklogDrops}, {&r.StealNs, &o.host.StealNs}, {&r.SamplerCPUNs, &o.cpu},
	} {
		if *f.v != procfs.Unknown {
			*f.to = f.v
		}
	}
}
