package runner

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/runner/host"
	"github.com/millrace/millrace/scenarios"
)

// fits is the most connections of a scenario that this host can hold with the replicas that it may have, and what limits them.
func fits(s *scenarios.Scenario) (most int, why string) {
	replicas := s.Replicas.Number()
	if s.Replicas == scenarios.Auto {
		replicas = host.ProcessesFor(s.Connections.Count)
	}
	if replicas > 1 {
		return host.FitReplicas(s, replicas)
	}
	return host.FitConnections(s)
}

// settleReplicas fixes how many processes a server runs as, of a scenario that fits, and tells of more than one.
func settleReplicas(s *scenarios.Scenario) (scale []string) {
	processes := host.ProcessesFor(s.Connections.Count)
	if s.Replicas == scenarios.Auto {
		s.Replicas = scenarios.Replicas(strconv.Itoa(processes))
	}
	if n := s.Replicas.Number(); n > 1 {
		scale = append(scale, fmt.Sprintf("each server runs as %d processes that share the connections, and the client as %d; their readings are added up", n, processes))
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
	p.Spin = p.Spin && p.Processes < 2 // they would spin beside each other on the same CPUs
}
