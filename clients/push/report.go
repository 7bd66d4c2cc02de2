package push

import (
	"fmt"
	"math"
	"slices"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/hist"
)

// complete adds to a report what the subscribers received, and has it judged.
func (e *Engine) complete(r *clients.Report, shards []*shard, endNs int64) {
	r.Loop, r.OfferedRPS = "push", nil
	for i := range r.Phases {
		r.Phases[i].OfferedRPS = nil
	}
	p := &clients.PushReport{Lost: map[string]int64{}, Phases: []clients.PushPhase{}, Intervals: make([]int64, len(r.Intervals))}
	r.Push = p
	f := figures{push: p, threads: int64(len(shards)), wanted: r.ConnectionsWanted, lengthNs: int64(r.DurationSeconds * 1e9)}
	spans := e.rec.Timeline().Spans
	end := endNs - r.T0Ns
	measured := hist.New()
	for i := -1; i < len(spans); i++ {
		var counts clients.PushCounts
		delivery := hist.New()
		var stalls checks.Stalls
		for _, s := range shards {
			t := &s.counts[i+1]
			counts.Add(&t.PushCounts)
			delivery.Merge(t.delivery)
			stalls.Merge(&t.stalls)
		}
		p.PushCounts.Add(&counts)
		if i < 0 {
			p.Before = counts.Received
			continue
		}
		d := delivery.Summary(0)
		p.Phases = append(p.Phases, clients.PushPhase{Name: spans[i].Name, Measure: spans[i].Measure, PushCounts: counts, DeliveryNs: &d})
		if spans[i].Measure {
			measured.Merge(delivery)
			f.stalls.Merge(&stalls)
			f.measuredNs += max(min(end, spans[i].To)-spans[i].From, 0)
		}
	}
	f.forgotten = e.addConnections(p, shards, endNs)
	f.wanted -= addSlow(p, shards)
	f.declared = e.plan.MayDrop
	for _, s := range shards {
		for i := range p.Intervals {
			p.Intervals[i] += s.got[min(i, len(s.got)-1)]
		}
		if s.last > r.T0Ns {
			p.LastNs = max(p.LastNs, s.last-r.T0Ns)
		}
	}
	if r.DurationSeconds > 0 {
		p.ReceivedRPS = float64(p.Received-p.Before) / r.DurationSeconds
	}
	e.addDelivery(p, shards, measured, &f)
	f.endNs = end
	r.Judge(f.checks()...)
}

// addConnections adds up what the connections say, and returns how many of the silent ones have been for long.
func (e *Engine) addConnections(p *clients.PushReport, shards []*shard, endNs int64) (forgotten int64) {
	tops := make([]uint64, len(e.target.Endpoints))
	for _, s := range shards {
		p.Subscriptions += s.subscriptions
		p.Expected += s.ended
		p.Away += s.away
		p.Restarted += s.restarted
		p.Future += s.future
		for o, n := range s.lost {
			if n > 0 {
				p.Lost[clients.Outcome(o).String()] += n
			}
		}
		for i := range s.conns {
			c := &s.conns[i]
			if c.slow {
				continue
			}
			p.Expected += c.seq.expected()
			if at := s.endpoint(int32(i)); c.seq.seen != 0 {
				tops[at] = max(tops[at], c.seq.last)
			}
		}
	}
	for _, s := range shards {
		for i := range s.conns {
			c := &s.conns[i]
			if c.state != open {
				continue
			}
			p.Subscribers++
			if c.slow {
				continue
			}
			if c.seq.seen == 0 {
				if p.Silent++; endNs-c.since > silenceNs {
					forgotten++
				}
				continue
			}
			p.BehindMax = max(p.BehindMax, int64(min(tops[s.endpoint(int32(i))]-c.seq.last, math.MaxInt64)))
		}
	}
	return forgotten
}

// addSlow adds what the slow subscribers received, and returns how many connections they are.
func addSlow(p *clients.PushReport, shards []*shard) (wanted int64) {
	slow := &clients.PushSlow{Lost: map[string]int64{}}
	for _, s := range shards {
		p.Heartbeats += s.beats
		wanted += int64(len(s.slows))
		slow.PushCounts.Add(&s.slow.PushCounts)
		slow.Subscriptions += s.slow.subscriptions
		slow.Expected += s.slow.ended
		for o, n := range s.slow.lost {
			if n > 0 {
				slow.Lost[clients.Outcome(o).String()] += n
			}
		}
		for _, i := range s.slows {
			c := &s.conns[i]
			slow.Expected += c.seq.expected()
			if c.state == open {
				slow.Subscribers++
			}
		}
	}
	if wanted > 0 {
		p.Slow = slow
	}
	return wanted
}

// addDelivery adds the delivery lags, unless both clocks are not one.
func (e *Engine) addDelivery(p *clients.PushReport, shards []*shard, measured *hist.Histogram, f *figures) {
	for _, s := range shards {
		if s.foreign != "" {
			p.Refused = fmt.Sprintf("%s is no address of this host: delivery is measured with sender and receivers on one host, or not at all", s.foreign)
			f.foreign = true
		}
	}
	if p.Refused == "" && p.Future > 0 {
		p.Refused = fmt.Sprintf("%d frames were stamped in the future: the sender's clock is not this host's CLOCK_MONOTONIC; delivery is measured with sender and receivers on one host, or not at all", p.Future)
	}
	if p.Refused != "" {
		for i := range p.Phases {
			p.Phases[i].DeliveryNs = nil
		}
		return
	}
	d := measured.Summary(0)
	p.DeliveryNs = &d
	f.deliveryP99Ns = measured.Quantile(0.99)
	var means []int64
	for _, s := range shards {
		for i := range s.conns {
			if c := &s.conns[i]; c.lags > 0 {
				means = append(means, c.lagNs/c.lags)
			}
		}
	}
	if len(means) > 0 {
		slices.Sort(means)
		p.Spread = &clients.PushSpread{Best: means[0], Median: means[(len(means)-1)/2], Worst: means[len(means)-1]}
	}
}
