package recording

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/hist"
)

// Merge makes one report of what the processes of one load on this host measured, by the code that makes the report of one
// process: histograms are merged, never percentiles. plan is that of the whole load; its LogDir, if any, gets the merged logs,
// an error of which comes beside the report. Parts that are missing are the caller's to tell (checks.Agents). Of parts.Facts the
// histograms are used up. It reads the parts' logs, and holds the histograms of every second in memory.
func Merge(plan *clients.Plan, parts []*Part) (*clients.Report, error) {
	if len(parts) == 0 {
		return nil, errors.New("merging a load: no part of it")
	}
	rec := newRecording(plan, 1)
	rec.t0 = parts[0].T0Ns
	m := merger{rec: rec, cells: make([]*cellHists, len(rec.tl.cells))}
	for _, p := range parts {
		if err := m.add(p); err != nil {
			return nil, fmt.Errorf("merging part %d of a load: %w", p.Agent, err)
		}
	}
	if err := rec.createLogs(); err != nil {
		return nil, fmt.Errorf("merging a load: %w", err)
	}
	rec.startLogs()
	for i, h := range m.cells {
		var planned int64
		for _, r := range rec.shards {
			planned += r.cells[i].planned - r.cells[i].trickled
		}
		rec.take(finished{int32(i), planned, h})
	}
	err := rec.logs.Close()
	r := rec.report(m.facts)
	r.Agents = m.agents
	if len(parts) > 1 || parts[0].Agents > 1 {
		r.Judge(checks.StartSkew(m.lateNs), checks.Spread(m.p99Ns))
	}
	return r, err
}

// merger gathers parts in a recording.
type merger struct {
	rec    *Recording
	cells  []*cellHists
	facts  Facts
	agents []clients.AgentReport
	lateNs int64
	p99Ns  []int64
}

func (m *merger) add(p *Part) error {
	rec := m.rec
	if p.T0Ns != rec.t0 {
		return fmt.Errorf("it counts from another T0, %d ns off", p.T0Ns-rec.t0)
	}
	if len(p.Surroundings) != len(rec.tl.Spans) {
		return fmt.Errorf("it has %d phases: the plan has %d", len(p.Surroundings), len(rec.tl.Spans))
	}
	a := clients.AgentReport{Agent: p.Agent, CPUSeconds: p.Facts.CPUSeconds, PeakRSSBytes: p.PeakRSSBytes, LateNs: p.LateNs}
	var bad int64
	for i := range p.Shards {
		r, err := p.Shards[i].recorder(rec.tl)
		if err != nil {
			return err
		}
		rec.shards = append(rec.shards, r)
		a.ConnectionsOpened += r.opened
		for c := range r.cells {
			e := &r.cells[c]
			a.Planned += e.planned
			a.OK += e.tally[clients.OK]
			if rec.tl.Spans[rec.tl.cells[c].span].Measure {
				bad += e.planned - e.tally[clients.OK]
			}
		}
		for i, t := range r.trickles {
			if rec.tl.Spans[i].Measure {
				bad -= t.Planned - t.OK
			}
		}
	}
	response, err := m.read(p.LogDir)
	if err != nil {
		return err
	}
	if a.ResponseP99Ns = response.Summary(bad).P99; a.ResponseP99Ns != nil {
		m.p99Ns = append(m.p99Ns, *a.ResponseP99Ns)
	}
	m.agents = append(m.agents, a)
	m.lateNs = max(m.lateNs, p.LateNs)
	m.surround(p)
	m.facts.add(&p.Facts)
	return nil
}

// read adds the logs in a directory to the cells, and returns the response times of the measured phases in them.
func (m *merger) read(dir string) (*hist.Histogram, error) {
	tl := m.rec.tl
	at := make(map[int64]int, len(tl.cells))
	for i, c := range tl.cells {
		at[c.from] = i
	}
	measured := hist.New()
	for k, name := range logNames {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		err = hist.EachEntry(f, func(e hist.Entry) error {
			i, ok := at[e.StartNs]
			if !ok || tl.cells[i].to-tl.cells[i].from != e.LengthNs {
				return fmt.Errorf("an interval of %d ns from %d ns on: the plan has none", e.LengthNs, e.StartNs)
			}
			if m.cells[i] == nil {
				m.cells[i] = newCellHists()
			}
			m.cells[i].each()[k].Merge(e.Histogram)
			if k == 0 && tl.Spans[tl.cells[i].span].Measure {
				measured.Merge(e.Histogram)
			}
			return nil
		})
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	return measured, nil
}

// surround takes what the part's process saw of its host, which is the same as the others', each by its own readings: the worst
// counts. What one could not read is what the others read.
func (m *merger) surround(p *Part) {
	rec := m.rec
	rec.peakRSS += p.PeakRSSBytes
	if rec.surroundings == nil {
		rec.kernel, rec.surroundings = p.Kernel, p.Surroundings
		return
	}
	k, o := &rec.kernel, &p.Kernel
	k.ListenOverflows = max(k.ListenOverflows, o.ListenOverflows)
	k.ListenDrops = max(k.ListenDrops, o.ListenDrops)
	k.SynRetransmits = max(k.SynRetransmits, o.SynRetransmits)
	k.BacklogDrops = max(k.BacklogDrops, o.BacklogDrops)
	k.Retransmits = max(k.Retransmits, o.Retransmits)
	for i := range rec.surroundings {
		s, o := &rec.surroundings[i], &p.Surroundings[i]
		if float64(o.StealNs)*float64(max(s.CPUSpanNs, 1)) > float64(s.StealNs)*float64(max(o.CPUSpanNs, 1)) {
			s.StealNs, s.CPUSpanNs = o.StealNs, o.CPUSpanNs
		}
		s.ThrottledNs, s.Throttled = max(s.ThrottledNs, o.ThrottledNs), max(s.Throttled, o.Throttled)
		s.PauseMaxNs, s.SchedP99Ns = max(s.PauseMaxNs, o.PauseMaxNs), max(s.SchedP99Ns, o.SchedP99Ns)
	}
}

// add adds the facts of another process. The first one's names stay.
func (f *Facts) add(o *Facts) {
	if f.Engine == "" {
		*f = *o
		return
	}
	f.EndNs = max(f.EndNs, o.EndNs)
	f.Interrupted = f.Interrupted || o.Interrupted
	f.CPUSeconds += o.CPUSeconds
	f.Limited += o.Limited
	f.Goroutines = f.Goroutines || o.Goroutines
	if f.Note == "" {
		f.Note = o.Note
	}
	if f.Congestion == "" {
		f.Congestion = o.Congestion
	}
	switch {
	case f.Stamped == nil:
		f.Stamped = o.Stamped
	case o.Stamped != nil:
		f.Stamped.Merge(o.Stamped)
	}
	if f.TLS == nil || o.TLS == nil {
		return
	}
	f.TLS.Handshakes += o.TLS.Handshakes
	f.TLS.Resumed += o.TLS.Resumed
	for _, to := range []struct{ all, more map[string]int64 }{{f.TLS.Versions, o.TLS.Versions}, {f.TLS.CipherSuites, o.TLS.CipherSuites}} {
		for name, n := range maps.All(to.more) {
			to.all[name] += n
		}
	}
	if o.TLS.LastError != "" {
		f.TLS.LastError = o.TLS.LastError
	}
	f.Handshakes.Merge(o.Handshakes)
}
