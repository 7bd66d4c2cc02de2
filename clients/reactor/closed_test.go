package reactor

import (
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// In a closed loop every connection has a request due at all times. So the response times, in which a free connection's wait for
// the client is, add up to connections × length (Little's law), to within what is in flight at the end; service times lack that wait.
func TestClosedLoopHidesNoWait(t *testing.T) {
	for _, engine := range []string{"epoll", uringName} {
		t.Run(engine, func(t *testing.T) {
			const connections, length = 32, 400e6
			srv := start(t, reflect.Script{})
			var dir string
			r := run(t, plan(srv.URL(), func(p *clients.Plan, s *scenarios.Scenario) {
				dir = t.TempDir()
				p.Engine, p.LogDir = engine, dir
				s.Connections.Count = connections
				s.Phases = []scenarios.Phase{steady(length/1e6, 0)}
				s.Phases[0].Arrivals = scenarios.Arrivals{Closed: true}
			}))
			if r.Engine != engine {
				t.Skip(r.EngineNote)
			}
			sum := func(file string) (ns float64) {
				for _, e := range readLog(t, dir, file) {
					ns += e.Histogram.Mean() * float64(e.Histogram.Count())
				}
				return ns / (connections * length)
			}
			response, service := sum("response.hlog"), sum("service.hlog")
			if response < 0.95 || response > 1.01 || service > response {
				t.Errorf("Σ response ÷ (connections × length) = %.3f, of service %.3f: want 0.95 to 1.01, and service less", response, service)
			}
			if c := find(r, "bookkeeping (Little's law)"); c.Value > 0.05 {
				t.Errorf("%+v", c)
			}
		})
	}
}
