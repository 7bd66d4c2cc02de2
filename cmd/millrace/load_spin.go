package main

import (
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/scenarios"
)

// applySpin decides whether the load spins between requests, and on how many CPUs. A client that sleeps wakes up late, and that
// is in each latency it reads, so that an open loop spins where it leaves CPUs to others: half of those it may use for a
// server on this host, one for the rest of a load from elsewhere. A closed loop, which is for capacity, and one of several
// processes sleep.
func (f *loadFlags) applySpin(plan *clients.Plan, processes int) error {
	switch f.spin {
	case "true", "false":
		plan.Spin = f.spin == "true"
		return nil
	case "auto":
	default:
		return fmt.Errorf("--spin=%s: want auto, true or false", f.spin)
	}
	own, host := runtime.NumCPU(), procfs.OnlineCPUs()
	if closedLoop(&plan.Scenario) || processes != 1 || plan.Engine == "vegeta" || host < 2 {
		return nil
	}
	plan.Spin = true
	switch {
	case own == 1: // pinned to it
	case onThisHost(plan):
		plan.Threads = own / 2
	default:
		plan.Threads = own - 1
	}
	return nil
}

// closedLoop reports whether no phase has arrivals of its own.
func closedLoop(s *scenarios.Scenario) bool {
	return !slices.ContainsFunc(s.Phases, func(p scenarios.Phase) bool { return !p.Arrivals.Closed })
}

// onThisHost reports whether one of a plan's targets is this host, as far as its addresses tell.
func onThisHost(plan *clients.Plan) bool {
	if plan.UnixSocket != "" {
		return true
	}
	urls := []string{plan.URL}
	for _, r := range plan.Requests {
		urls = append(urls, r.URL)
	}
	own, _ := net.InterfaceAddrs() // without them only loopback is known
	return slices.ContainsFunc(urls, func(text string) bool {
		u, err := url.Parse(text)
		if err != nil {
			return false // the engine tells
		}
		ips, _ := net.LookupIP(u.Hostname())
		return slices.ContainsFunc(ips, func(ip net.IP) bool {
			return ip.IsLoopback() || slices.ContainsFunc(own, func(a net.Addr) bool {
				n, ok := a.(*net.IPNet)
				return ok && n.IP.Equal(ip)
			})
		})
	})
}
