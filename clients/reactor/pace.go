package reactor

import (
	"math"

	"github.com/millrace/millrace/internal/procfs"
)

const (
	// spinNs before a request is due are spent spinning, if the plan says so: more than a wake-up takes, were it the
	// hypervisor's.
	spinNs = 1_000_000
	// shortestSleep is a wait that costs as much CPU to sleep through, arming the timer, as to spin through: at 100 000/s that
	// was a third of the client's CPU on the reference host.
	shortestSleep = 15_000
	// maxLead is how long before a request is due a shard may wake up otherwise, to make up for the time that waking up
	// takes: some 20 µs on a virtual machine, 2 µs on bare metal.
	maxLead = 30_000
	// leadStep is by how much a wake-up changes that: up by leadRise steps if it came too late, down by one if not, so that
	// leadRise of leadRise + 1 come in time.
	leadStep, leadRise = 200, 3
	// leadShare is the most of its time that a shard waits spinning for what it woke up early for.
	leadShare = 0.10
)

// wait is for the next event, or the next thing to do, and returns the number of events.
func (s *shard) wait() int {
	until, arrival := s.control, false
	if s.available() {
		if s.closed {
			until = s.now
		} else if at, _, ok := s.cursor.Peek(); ok && s.start != math.MaxInt64 && s.start+int64(at) < until {
			until, arrival = s.start+int64(at), true
		}
	}
	s.launch()
	s.worked += s.now - s.woke
	if s.start != math.MaxInt64 {
		if from := s.lookedSince(); from < s.now {
			s.rec.Gap(from, s.now)
		}
	}
	lead := s.leadTo(until, arrival)
	if until > s.now && until-s.now <= lead {
		if slot := &s.e.plan.Slot; slot.Of > 0 && slot.Own(s.now-s.start) {
			until = min(until, s.start+slot.End(s.now-s.start))
		}
		return s.spin(until)
	}
	until = max(until-lead, s.now)
	n := s.io.wait(until - s.now)
	from := s.now
	s.now = procfs.Monotonic()
	if arrival && n == 0 && until > from {
		s.learn(s.now - until)
	}
	s.looked, s.woke = min(s.now, until), s.now // what it overslept counts as not looking
	return n
}

// lookedSince is looked, but for the turn of another client: while nothing is due and no reply is owed, there is nothing to
// look for. It is the present in such a turn, and the begin of the own one after it.
func (s *shard) lookedSince() int64 {
	slot := &s.e.plan.Slot
	switch {
	case slot.Of == 0 || s.rec.InFlight() > 0 || slot.Own(s.looked-s.start):
		return s.looked
	case !slot.Own(s.now - s.start):
		return s.now
	}
	return max(s.looked, s.start+slot.End(s.now-s.start)-slot.LengthNs)
}

// leadTo is how long before a time to stop sleeping and to spin.
func (s *shard) leadTo(until int64, arrival bool) int64 {
	spin := s.e.plan.Spin && (s.start == math.MaxInt64 || s.e.plan.Slot.Own(s.now-s.start)) // else another client has its turn
	switch {
	case spin && s.rec.InFlight() > 0:
		return until - s.now // a reply may come at any time
	case spin && arrival:
		return spinNs
	case arrival && until-s.now < shortestSleep:
		return until - s.now
	case !arrival || float64(s.led) > leadShare*float64(s.now-s.start):
		return 0
	}
	return s.lead
}

// learn takes in how late a wake-up was.
func (s *shard) learn(late int64) {
	if late > s.lead {
		s.lead = min(s.lead+leadRise*leadStep, maxLead)
	} else {
		s.lead = max(s.lead-leadStep, 0)
	}
}

// spin looks for events until a time and counts what that takes.
func (s *shard) spin(until int64) int {
	from := s.now
	for {
		n := s.io.wait(0)
		s.now = procfs.Monotonic()
		if n > 0 || s.now >= until {
			s.spun += s.now - from
			s.led += s.now - from
			s.looked, s.woke = min(s.now, until), s.now
			return n
		}
	}
}

// useCPU takes the thread's CPU time so far. Spinning and working are known by the clock only, and the thread may not have
// run all of both: what it used since the last call without the spinning counts, or all the time that it worked, if that is
// more.
func (s *shard) useCPU(total int64) {
	used := total - s.cpuRead
	s.cpu += max(used-s.spun, min(used, s.worked))
	s.cpuRead, s.spun, s.worked = total, 0, 0
}
