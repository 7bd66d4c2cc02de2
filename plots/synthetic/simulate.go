package synthetic

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/results"
)

// model is what the simulation makes of a name.
type model struct {
	rps           float64 // capacity
	baseNs        float64 // median service time
	spread        float64 // of its logarithm
	cpuNs         float64 // a request
	baseBytes     float64
	connBytes     float64
	kernelBytes   float64
	perConn       float64 // goroutines
	goroutines    float64 // beside them
	backlogBytes  float64 // a request that waits
	burstPoolSize float64 // goroutines that come with a backlog, at most
}

var modelsByName = map[string]model{
	"goroutine": {78e3, 95e3, 0.42, 9800, 9e6, 9200, 5100, 1, 6, 300, 0},
	"gnet":      {112e3, 70e3, 0.36, 6900, 11e6, 1400, 5000, 0, 9, 120, 0},
	"netpoll":   {96e3, 82e3, 0.40, 7900, 12e6, 3100, 5050, 0, 12, 220, 4000},
	"fasthttp":  {88e3, 88e3, 0.40, 8700, 10e6, 6300, 5100, 1, 7, 260, 0},
	"nethttp":   {47e3, 140e3, 0.48, 16500, 11e6, 17800, 5100, 1, 8, 420, 0},
	"workers":   {69e3, 105e3, 0.55, 10900, 10e6, 4700, 5080, 0, 70, 200, 1000},
}

const stepNs = int64(100e6)

// simulation is one trial in the making: a queue in front of a server, in steps of 100 ms.
type simulation struct {
	trial    *results.Trial
	run      *results.Run
	model    model
	rng      *rand.Rand
	readings []results.Reading
	logs     []tagged // of a second and phase each
	seconds  []*hist.Histogram
}

type tagged struct {
	tag     string
	startNs int64
	h       *hist.Histogram
}

func simulate(t *results.Trial, run *results.Run, o *Options) *simulation {
	name, _, _ := strings.Cut(t.Variant, "/")
	m, known := modelsByName[name]
	if !known {
		m = modelsByName["workers"]
	}
	h := fnv.New64a()
	h.Write([]byte(t.ID))
	s := &simulation{trial: t, run: run, model: m, rng: rand.New(rand.NewPCG(h.Sum64(), 7))}
	factor := math.Exp(0.03 * s.rng.NormFloat64())
	s.model.rps *= factor
	s.model.baseNs /= factor
	if o.Scatter > 0 {
		s.scatter(o.Scatter)
	}
	s.phases()
	s.walk()
	if slices.Contains(o.Lossy, t.Variant) {
		s.lose()
	}
	s.finish()
	return s
}

// scatter moves what the server costs, by a share of its own and by one of its round.
func (s *simulation) scatter(sd float64) {
	round := rand.New(rand.NewPCG(uint64(s.trial.Round), 11))
	own := rand.New(rand.NewPCG(s.rng.Uint64(), 13))
	for _, v := range []*float64{&s.model.cpuNs, &s.model.connBytes, &s.model.backlogBytes} {
		*v *= math.Exp(sd * (3*round.NormFloat64() + own.NormFloat64()))
	}
}

func (s *simulation) phases() {
	at := s.run.Scenario.ConnectFor().Nanoseconds() / stepNs * stepNs
	for _, p := range s.run.Scenario.Phases {
		to := at + int64(p.For)/stepNs*stepNs
		s.trial.Phases = append(s.trial.Phases, results.Phase{
			Name: p.Name, Load: p.Load, Measure: p.Measure, FromNs: at, ToNs: to, Outcomes: map[string]int64{},
		})
		at = to
	}
	s.trial.IntervalNs = stepNs
}

// batch is what was intended in one step and waits.
type batch struct {
	phase int
	at    int64
	n     int64
}

// walk goes through the steps: arrivals join the queue, the server takes what it can from its head.
func (s *simulation) walk() {
	t := s.trial
	end := t.Phases[len(t.Phases)-1].ToNs
	responses := make([]*hist.Histogram, len(t.Phases))
	for i := range responses {
		responses[i] = hist.New()
	}
	var queue []batch
	var waiting, handled int64
	peakWaiting := 0.0
	for at := int64(0); at < end; at += stepNs {
		var v results.Interval
		k := s.phaseAt(at)
		if k >= 0 {
			p := s.run.Scenario.Phases[k]
			v.Planned = int64(p.Arrivals.Rate(s.length(k)) * float64(stepNs) / 1e9)
			queue = append(queue, batch{k, at, v.Planned})
			t.Phases[k].Planned += v.Planned
			waiting += v.Planned
		}
		room := int64(s.model.rps * float64(stepNs) / 1e9 * math.Exp(0.02*s.rng.NormFloat64()))
		for len(queue) > 0 && room > 0 {
			b := &queue[0]
			n := min(b.n, room)
			s.answer(responses[b.phase], b, at, n)
			b.n, room, waiting, v.OK = b.n-n, room-n, waiting-n, v.OK+n
			t.Phases[b.phase].Outcomes["ok"] += n
			if b.n == 0 {
				t.Phases[b.phase].DrainedNs = at + stepNs
				queue = queue[1:]
			}
		}
		v.Sent = v.OK
		handled += v.OK
		t.Intervals = append(t.Intervals, v)
		peakWaiting = max(peakWaiting, float64(waiting))
		s.read(at, k, handled, float64(waiting), peakWaiting)
	}
	s.read(end, len(t.Phases)-1, handled, float64(waiting), peakWaiting)
	for i := range t.Phases {
		p := &t.Phases[i]
		if left := p.Planned - p.Outcomes["ok"]; left > 0 {
			p.Outcomes["in_flight"] = left
		}
		p.Response = responses[i].Summary(p.Planned - p.Outcomes["ok"])
		p.Service = p.Response
	}
}

func (s *simulation) length(k int) time.Duration { return time.Duration(s.run.Scenario.Phases[k].For) }

func (s *simulation) phaseAt(at int64) int {
	for i, p := range s.trial.Phases {
		if at >= p.FromNs && at < p.ToNs {
			return i
		}
	}
	return -1
}

// answer records n answers to a batch at a step.
func (s *simulation) answer(phase *hist.Histogram, b *batch, at, n int64) {
	second := b.at / 1e9
	tag := s.trial.Phases[b.phase].Name
	if len(s.logs) == 0 || s.logs[len(s.logs)-1].tag != tag || s.logs[len(s.logs)-1].startNs != second*1e9 {
		s.logs = append(s.logs, tagged{tag, second * 1e9, hist.New()})
	}
	for int64(len(s.seconds)) <= second {
		s.seconds = append(s.seconds, hist.New())
	}
	wait := float64(at - b.at)
	for range n {
		ns := s.model.baseNs * math.Exp(s.model.spread*s.rng.NormFloat64())
		if s.rng.Float64() < 0.002 {
			ns += s.rng.ExpFloat64() * 3e6
		}
		if wait > 0 {
			ns += wait + s.rng.Float64()*float64(stepNs)
		}
		phase.Record(int64(ns))
		s.logs[len(s.logs)-1].h.Record(int64(ns))
		s.seconds[second].Record(int64(ns))
	}
}

// read adds the reading of a step.
func (s *simulation) read(at int64, k int, handled int64, waiting, peak float64) {
	m, c := s.model, s.run.Scenario.Connections
	open := float64(c.Count)
	switch {
	case c.Requests > 0:
		open = 40
	case s.run.Scenario.OpensLater():
		open = 0
		for i := 0; i <= k; i++ {
			if p := s.run.Scenario.Phases[i]; p.Open > 0 {
				open = float64(p.Open)
			}
		}
	case k < 0:
		open *= math.Min(1, float64(at+stepNs)/float64(s.trial.Phases[0].FromNs))
	}
	noise := 1 + 0.004*s.rng.NormFloat64()
	rss := (m.baseBytes + open*m.connBytes + waiting*m.backlogBytes + (peak-waiting)*m.backlogBytes*0.55) * noise
	socket := (open*900 + waiting*310) * noise
	v := func(f float64) *int64 { n := int64(math.Round(f)); return &n }
	cpu := float64(handled) * m.cpuNs
	if m.perConn > 0 && len(s.run.Steps) > 0 { // so that winners change
		cpu *= 0.5 + 0.5*math.Log10(math.Max(1000, float64(c.Count))/1000)
	}
	r := results.Reading{
		Schema: results.Schema, TNs: at + 3e6, RSSBytes: v(rss), RSSAnonBytes: v(rss * 0.8), CPUUserNs: v(cpu * 0.4), CPUSystemNs: v(cpu * 0.6),
		Goroutines: v(m.goroutines + m.perConn*open + math.Min(waiting, m.burstPoolSize)), StackBytes: v(2e5 + 2048*m.perConn*open),
		GCCPUNs: v(cpu * 0.03), SocketBytes: v(socket), SlabBytes: v(5e7 + open*m.kernelBytes*noise), SamplerCPUNs: v(float64(at) * 0.004),
		Accepted: v(open), Open: v(open), TimeWait: v(0),
	}
	if c.Requests > 0 {
		r.Accepted, r.TimeWaitClient, r.TimeWaitServer = v(float64(handled)), v(math.Min(28000, float64(handled))), v(12)
	}
	s.readings = append(s.readings, r)
}

// lose lets one request in a thousand of each phase time out.
func (s *simulation) lose() {
	for i := range s.trial.Phases {
		p := &s.trial.Phases[i]
		if n := p.Outcomes["ok"] / 1000; n > 0 {
			p.Outcomes["ok"] -= n
			p.Outcomes["timeout"] = n
		}
	}
}

func (s *simulation) finish() {
	t := s.trial
	all := hist.New()
	for _, l := range s.logs {
		all.Merge(l.h)
	}
	for i := range t.Phases {
		p := &t.Phases[i]
		t.Planned += p.Planned
		for name, n := range p.Outcomes {
			t.Outcomes[name] += n
		}
		seconds := float64(p.ToNs-p.FromNs) / 1e9
		offered := float64(p.Planned) / seconds
		p.OfferedRPS, p.AchievedRPS = &offered, float64(p.Outcomes["ok"])/seconds
		if s.run.Scenario.Connections.Requests > 0 {
			connect := hist.New()
			for range p.Planned {
				connect.Record(int64(s.model.baseNs * 0.6 * math.Exp(0.3*s.rng.NormFloat64())))
			}
			p.Connect = connect.Summary(0)
		}
	}
	t.Response = all.Summary(t.Planned - t.Outcomes["ok"])
	lag := hist.New()
	for range 20000 {
		lag.Record(int64(8e3 * math.Exp(0.4*s.rng.NormFloat64())))
	}
	t.Lag = lag.Summary(0)
	for _, h := range s.seconds {
		t.SecondsNs = append(t.SecondsNs, h.Summary(0))
	}
}

func (s *simulation) writeLogs(dir string) error {
	for _, kind := range results.HistogramKinds {
		f, err := os.Create(filepath.Join(dir, kind+".hlog"))
		if err != nil {
			return err
		}
		w, err := hist.NewLogWriter(f, started)
		for _, l := range s.logs {
			if err == nil {
				err = w.Write(l.tag, l.startNs, 1e9, l.h)
			}
		}
		if err != nil {
			_ = f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
