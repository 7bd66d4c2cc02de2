package vegeta

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/millrace/millrace/clients"
)

// workPath is where a request asks for work, by the server contract.
const workPath = "/work"

// target is what every request of a plan looks like. It does not change after newTarget and may be shared.
type target struct {
	request vegeta.Target
	url     *url.URL
	work    *url.URL // of requests that ask for work
	address string   // host:port to connect to
	host    string   // the Host header
	header  http.Header
}

// newTarget reads the request out of a plan.
func newTarget(plan *clients.Plan) (*target, error) {
	u, err := url.Parse(plan.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing url: %w", err)
	}
	if u.Scheme != "http" {
		return nil, fmt.Errorf("url %s: scheme %q: vegeta knows http only; --engine epoll knows http and frame", plan.URL, u.Scheme)
	}
	if u.Hostname() == "" || u.User != nil {
		return nil, fmt.Errorf("url %s: want http://host:port/path", plan.URL)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	t := &target{url: u, host: u.Host, address: u.Host, header: http.Header{"User-Agent": {""}}}
	if u.Port() == "" {
		t.address = net.JoinHostPort(u.Hostname(), "80")
	}
	work := *u
	work.Path, work.RawPath = workPath, ""
	t.work = &work
	for _, line := range plan.Headers {
		key, value, ok := strings.Cut(line, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case !ok || key == "":
			return nil, fmt.Errorf("header %q: want NAME: VALUE", line)
		case http.CanonicalHeaderKey(key) == "Host":
			t.host = value
		case http.CanonicalHeaderKey(key) == "User-Agent":
			t.header.Set(key, value)
		default:
			t.header.Add(key, value)
		}
	}
	method := plan.Method
	if method == "" {
		method = http.MethodGet
	}
	t.request = vegeta.Target{Method: method, URL: u.String(), Body: plan.Body}
	if _, err := t.request.Request(); err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	return t, nil
}

// next is the vegeta.Targeter. Which request asks for work depends on its number, which a Targeter is not told; the
// transport decides it.
func (t *target) next(into *vegeta.Target) error {
	*into = t.request
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
	for _, a := range plan.Sources {
		if net.ParseIP(a) == nil {
			return fmt.Errorf("source %q: want an IP address", a)
		}
	}
	switch {
	case c.Pipeline > 1:
		return fmt.Errorf("connections.pipeline %d: vegeta sends one request at a time on a connection%s do more", c.Pipeline, instead)
	case c.Requests > 1:
		return fmt.Errorf("connections.requests %d: vegeta keeps a connection (0) or uses it once (1)%s count", c.Requests, instead)
	case c.Requests == 1 && c.Close == "fin-server":
		return fmt.Errorf("connections.close fin-server: net/http closes without waiting for the server, want fin-client or rst%s wait", instead)
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
