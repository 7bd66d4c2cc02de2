package vegeta

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/millrace/millrace/clients"
	asked "github.com/millrace/millrace/clients/request"
)

// target is what the requests of a plan look like and where they go. It does not change after newTarget and may be shared.
type target struct {
	requests []asked.Request
	network  string // "tcp" or "unix"
	address  string // host:port to connect to, or a unix socket
	sources  []net.IP
	check    *asked.Template // the body of a good reply; nil for any
}

// newTarget reads the requests out of a plan.
func newTarget(plan *clients.Plan) (*target, error) {
	requests, err := asked.Of(plan)
	if err != nil {
		return nil, err
	}
	t := &target{requests: requests, network: "tcp", address: requests[0].Address}
	for i := range requests {
		r := &requests[i]
		switch {
		case r.Scheme != "http":
			return nil, fmt.Errorf("url %s: scheme %q: vegeta knows http only; --engine epoll knows http and frame", plan.URL, r.Scheme)
		case r.Address != t.address && plan.UnixSocket == "":
			return nil, fmt.Errorf("urls of %s and %s: vegeta connects to one host and port: --engine epoll can several", t.address, r.Address)
		}
	}
	for i := range requests { // so that it can't fail later
		if _, err := t.build(context.Background(), int64(i), false); err != nil {
			return nil, fmt.Errorf("making request: %w", err)
		}
	}
	if plan.CheckBody != nil {
		c := asked.ParseTemplate(plan.CheckBody)
		t.check = &c
	}
	if plan.UnixSocket == "" {
		return t, t.setSources(plan.Sources)
	}
	if t.network, t.address = "unix", plan.UnixSocket; len(plan.Sources) > 0 || plan.Scenario.Connections.Close == "rst" {
		return nil, fmt.Errorf("unix socket %s: knows neither source addresses nor a reset: want neither", plan.UnixSocket)
	}
	return t, nil
}

// setSources takes those source addresses that are of the server's family.
func (t *target) setSources(texts []string) error {
	if len(texts) == 0 {
		return nil
	}
	a, err := net.ResolveTCPAddr("tcp", t.address)
	if err != nil {
		return fmt.Errorf("resolving %s: %w", t.address, err)
	}
	t.address = a.String()
	for _, text := range texts {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return fmt.Errorf("source %q: want an IP address without a zone", text)
		}
		if ip.Unmap().Is4() == (a.IP.To4() != nil) {
			t.sources = append(t.sources, ip.Unmap().AsSlice())
		}
	}
	if len(t.sources) == 0 {
		return fmt.Errorf("connecting to %s: no source address is of the same family: want some, or none at all", a.IP)
	}
	return nil
}

// pick is the request with a number.
func (t *target) pick(n int64) *asked.Request { return &t.requests[asked.Turn(n, len(t.requests))] }

// bodyLen is the bytes of the body of the request with a number.
func (t *target) bodyLen(n int64) int64 { return int64(t.pick(n).Body.Len(n)) }

// wanted is the body that a good reply to the request with a number has, nil for any.
func (t *target) wanted(n int64) []byte {
	if r := t.pick(n); r.Echoed {
		return r.Body.Append([]byte{}, n)
	}
	if t.check == nil || t.pick(n).Method == http.MethodHead {
		return nil
	}
	return t.check.Append([]byte{}, n)
}

// build makes the request with a number.
func (t *target) build(ctx context.Context, n int64, work bool) (*http.Request, error) {
	r := t.pick(n)
	path := asked.WorkPath
	if !work {
		path = string(r.Path.Append(nil, n))
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, err
	}
	// All have the same host, so that they share the connections; the header says which is meant.
	u.Scheme, u.Host = "http", t.requests[0].Host
	var body *bytes.Reader
	if body = bytes.NewReader(nil); r.HasBody {
		body = bytes.NewReader(r.Body.Append(nil, n))
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, u.String(), body)
	if err != nil {
		return nil, err
	}
	out.URL, out.Host = u, r.Host
	out.Header.Set("User-Agent", "") // none, unless there is one below
	for i := range r.Headers {
		value := string(r.Headers[i].Value.Append(nil, n))
		switch key := http.CanonicalHeaderKey(r.Headers[i].Name); key {
		case "Host":
			out.Host = value
		case "User-Agent":
			out.Header.Set(key, value)
		default:
			out.Header.Add(key, value)
		}
	}
	return out, nil
}

// next is the vegeta.Targeter. It is not told a request's number, by which one differs from another: the transport makes the
// request that goes out.
func (t *target) next(into *vegeta.Target) error {
	*into = vegeta.Target{Method: http.MethodGet, URL: "http://" + t.requests[0].Host}
	return nil
}

// supported refuses what vegeta has no means for.
func supported(plan *clients.Plan) error {
	s := &plan.Scenario
	c := &s.Connections
	const instead = ": --engine epoll can"
	if plan.Agents < 1 || plan.Agent < 0 || plan.Agent >= plan.Agents {
		return fmt.Errorf("agent %d of %d: want 0 to agents - 1", plan.Agent, plan.Agents)
	}
	if err := plan.CheckSlot(); err != nil {
		return err
	}
	switch {
	case c.Pipeline > 1:
		return fmt.Errorf("connections.pipeline %d: vegeta sends one request at a time on a connection%s do more", c.Pipeline, instead)
	case c.Requests > 1:
		return fmt.Errorf("connections.requests %d: vegeta keeps a connection (0) or uses it once (1)%s count", c.Requests, instead)
	case c.Requests == 1 && c.Close == "fin-server":
		return fmt.Errorf("connections.close fin-server: net/http closes without waiting for the server, want fin-client or rst%s wait", instead)
	case c.Trickle > 0:
		return fmt.Errorf("connections.trickle %v: vegeta can't send on a certain connection%s", c.Trickle, instead)
	case c.Renew > 0:
		return fmt.Errorf("connections.renew %v: vegeta can't tell which connection is idle%s", c.Renew, instead)
	case len(s.Phases) == 0:
		return fmt.Errorf("phases: none, want at least one")
	}
	for _, p := range s.Phases {
		switch {
		case p.Each != "" || p.Open > 0:
			return fmt.Errorf("phases.%s: vegeta can't climb connection steps%s", p.Name, instead)
		case p.Active != 0 && p.Active != 100:
			return fmt.Errorf("phases.%s.active %v: vegeta uses any connection that is free%s leave some idle", p.Name, p.Active, instead)
		}
	}
	return nil
}
