package reflect

import (
	"math"
	"math/rand/v2"
	"time"
)

// station computes when replies depart. Times are CLOCK_MONOTONIC ns.
//
//	one server         departure = max(arrival, departure of the request before) + service
//	otherwise          departure = max(arrival, departure of the one before on the connection) + delay
//
// and what would depart in a freeze departs at its end.
type station struct {
	script *Script
	first  int64 // arrival of the first request
	free   int64 // departure of the last request from the one server
	count  int
	draw   *Service
}

func newStation(s *Script) *station {
	return &station{script: s, draw: NewService(s.Seed)}
}

// depart takes the next request into account: arrived at a time, behind one that leaves the same connection at before.
// It never returns less than before.
func (s *station) depart(arrival, before int64, work bool) int64 {
	if s.count == 0 {
		s.first = arrival
	}
	s.count++
	c := s.script
	delay := c.Delay
	if c.SlowEvery > 0 && s.count%c.SlowEvery == 0 {
		delay = c.SlowDelay
	}
	if work {
		delay += c.WorkDelay
	}
	if c.Service > 0 {
		service := c.Service
		if c.Exponential {
			service = time.Duration(float64(service) * s.draw.Next())
		}
		s.free = s.thaw(max(arrival, s.free) + int64(service+delay))
		return s.free
	}
	return s.thaw(max(arrival, before) + int64(delay))
}

// thaw is the end of the freeze that a time lies in, or that time.
func (s *station) thaw(at int64) int64 {
	c := s.script
	since := at - s.first - int64(c.FreezeAt)
	if since < 0 || c.FreezeFor == 0 {
		return at
	}
	if c.FreezeEvery > 0 {
		since %= int64(c.FreezeEvery)
	}
	if since < int64(c.FreezeFor) {
		return at + int64(c.FreezeFor) - since
	}
	return at
}

// Service draws service times of mean 1 from the exponential distribution, by inversion: −ln(1−U), U uniform in [0, 1)
// from a PCG. The same seed gives the same times. It has one user at a time.
type Service struct{ rng *rand.PCG }

// serviceStream keeps service times apart from the arrivals of the same seed.
const serviceStream = 0x5e71ce

// NewService returns the service times of a seed.
func NewService(seed uint64) *Service { return &Service{rand.NewPCG(seed, serviceStream)} }

// Next is the next service time.
func (s *Service) Next() float64 { return -math.Log1p(-float64(s.rng.Uint64()>>11) / (1 << 53)) }
