// Package target compiles a plan into what shards send and where they send it: bytes built once where they are always the
// same, and templates where a counter makes each request another one.
package target

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/request"
	"github.com/millrace/millrace/scenarios"
)

// Target is where requests go and what they look like: built once, shared by all shards, never changed.
type Target struct {
	// Name is for people: the first endpoint's, and how many others there are.
	Name string
	// Host is the first URL's host without port.
	Host string
	// Protocol is one of scenarios.Protocols.
	Protocol string
	// Frame says that requests and replies have ids and bodies: frames, or in ws messages. HTTPS is http1 over TLS.
	Frame, HTTPS bool
	// Endpoints are what connections are made to, at least one: connection i of the whole load to Endpoints[i mod their
	// number].
	Endpoints []Endpoint
	// Varied says that replies can't all be held against one body: see Request.Wanted.
	Varied bool
}

// Endpoint is an address to connect to, with the requests that go there.
type Endpoint struct {
	// Name is host:port as in the URL, or the path of a unix socket.
	Name   string
	Family int // AF_INET, AF_INET6 or AF_UNIX
	Addr   sys.Address
	// Sources are the addresses of the family to connect from, with port 0; empty leaves it to the kernel.
	Sources []sys.Address
	// Host and Path are of the request that upgrades a connection; Path is empty but in ws.
	Host, Path string

	requests []Request
}

// New compiles a plan, whose scenario is resolved. Names are looked up now, once.
func New(p *clients.Plan) (*Target, error) {
	requests, err := request.Of(p)
	if err != nil {
		return nil, err
	}
	t := &Target{Host: requests[0].Name, HTTPS: requests[0].Scheme == "https", Protocol: "http1"}
	if scheme := requests[0].Scheme; slices.Contains(scenarios.Protocols, scheme) {
		t.Protocol = scheme
	}
	t.Frame = t.Protocol == "frame" || t.Protocol == scenarios.WS
	pool, err := newPool(p.Sources)
	if err != nil {
		return nil, err
	}
	places := map[string]int{}
	for i := range requests {
		r := &requests[i]
		if t.HTTPS && r.Name != t.Host {
			return nil, fmt.Errorf("reading URLs: hosts %s and %s with https: want one host", t.Host, r.Name)
		}
		e, known := places[r.Address]
		if p.UnixSocket != "" {
			e, known = 0, len(t.Endpoints) > 0
		}
		if !known {
			e = len(t.Endpoints)
			places[r.Address] = e
			place, err := newEndpoint(r, p, pool)
			if err != nil {
				return nil, err
			}
			t.Endpoints = append(t.Endpoints, place)
		}
		if at := &t.Endpoints[e]; t.Protocol == scenarios.WS {
			path := string(r.Path.Append(nil, 0))
			if known && at.Path != path {
				return nil, fmt.Errorf("reading URLs: paths %s and %s of %s: a connection is upgraded once: want one path", at.Path, path, at.Name)
			}
			at.Host, at.Path = r.Host, path
		}
		t.Endpoints[e].requests = append(t.Endpoints[e].requests, t.compile(r, p))
	}
	if t.Name = t.Endpoints[0].Name; len(t.Endpoints) > 1 {
		t.Name += fmt.Sprintf(" and %d more", len(t.Endpoints)-1)
	}
	if n := p.Scenario.Connections.Count; n < len(t.Endpoints) {
		return nil, fmt.Errorf("reading URLs: %d hosts and ports, but %d connections: want at least one for each", len(t.Endpoints), n)
	}
	t.Varied = t.varied()
	return t, nil
}

// varied reports whether some replies must have another body than others. In frame a reply may belong to any request under
// way, in http1 its request is known before it comes.
func (t *Target) varied() bool {
	for i := range t.Endpoints {
		for j := range t.Endpoints[i].requests {
			r := &t.Endpoints[i].requests[j]
			if r.check.Counts() || t.Frame && !bytes.Equal(r.expect.Body, t.Endpoints[0].requests[0].expect.Body) {
				return true
			}
		}
	}
	return false
}

// Endpoint is the index in Endpoints of connection i of the whole load.
func (t *Target) Endpoint(i int) int {
	if len(t.Endpoints) == 1 {
		return 0
	}
	return i % len(t.Endpoints)
}

// Pick is the request that has number n of the whole stream, on a connection to an endpoint: on a single endpoint they come
// in turn, on one of several each as often as the others. The same arguments give the same request.
func (t *Target) Pick(endpoint int, n int64) *Request {
	all := t.Endpoints[endpoint].requests
	if len(t.Endpoints) == 1 {
		return &all[request.Turn(n, len(all))]
	}
	return &all[request.Spread(n, len(all))]
}

// Only is the request that every Pick returns, nil if there are several.
func (t *Target) Only() *Request {
	if len(t.Endpoints) > 1 || len(t.Endpoints[0].requests) > 1 {
		return nil
	}
	return &t.Endpoints[0].requests[0]
}

// Lasting calls f with every request that Static returns.
func (t *Target) Lasting(f func(b []byte)) {
	for i := range t.Endpoints {
		for j := range t.Endpoints[i].requests {
			for _, b := range t.Endpoints[i].requests[j].static {
				if len(b) > 0 {
					f(b)
				}
			}
		}
	}
}
