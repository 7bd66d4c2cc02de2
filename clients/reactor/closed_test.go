package reactor

import (
	"math"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// In a closed loop every connection has a request due at all times. So the response times, in which a free connection's wait for
// the client is, add up to connections × length (Little's law), to within what a busy host takes and what is in flight at the
// end. That wait is the lag: on epoll, where a request is sent when it is written, Σ response − Σ service = Σ lag.
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
			response, service, lag := sum("response.hlog"), sum("service.hlog"), sum("lag.hlog")
			if response < 0.90 || response > 1.10 {
				t.Errorf("Σ response ÷ (connections × length) = %.3f: want 0.9 to 1.1", response)
			}
			if engine == "epoll" && (lag == 0 || math.Abs(response-service-lag) > 0.01) {
				t.Errorf("Σ response − Σ service = %.3f − %.3f, Σ lag = %.3f: want the same, and more than none", response, service, lag)
			}
		})
	}
}
