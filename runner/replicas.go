package runner

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/scenarios"
)

// fitHost lowers the scenario to what this host can hold, settles how many processes a server runs as, and tells what it did, a
// sentence each.
func fitHost(s *scenarios.Scenario) (scale []string) {
	want := s.Connections.Count
	most, why := host.FitConnections(s)
	replicas := max(s.Replicas.Number(), 1)
	if s.Replicas == scenarios.Auto {
		replicas = host.ProcessesFor(min(want, scenarios.MaxConnections))
	}
	if replicas > 1 {
		most, why = host.FitReplicas(s, replicas)
	}
	if want > most {
		scale = append(scale, fmt.Sprintf("%d connections instead of %d: %s", most, want, why))
		s.LimitConnections(most)
	}
	if s.Replicas == scenarios.Auto {
		replicas = host.ProcessesFor(s.Connections.Count)
	}
	if s.Replicas = scenarios.Replicas(strconv.Itoa(replicas)); replicas > 1 {
		scale = append(scale, fmt.Sprintf("each server runs as %d processes that share the connections, and so does the client as %s; their readings are added up",
			replicas, quantity.Count(host.ProcessesFor(s.Connections.Count), "process")))
	}
	return scale
}

// spread makes a plan's requests go to all addresses of a server, connection i to number i mod their number, and has it made by as
// many processes as its connections need.
func spread(p *clients.Plan, addrs []string) {
	if len(addrs) < 2 {
		return
	}
	all := p.Requests
	if len(all) == 0 {
		all = []clients.Request{{URL: p.URL, Method: p.Method, Headers: p.Headers, Body: p.Body}}
	}
	p.Requests = nil
	for _, addr := range addrs {
		for _, r := range all {
			u, err := url.Parse(r.URL)
			if err != nil {
				panic("runner: a plan's own URL: " + err.Error())
			}
			u.Host = addr
			r.URL = u.String()
			p.Requests = append(p.Requests, r)
		}
	}
	p.URL = p.Requests[0].URL
	p.Processes = host.ProcessesFor(p.Scenario.Connections.Count)
}
