package reactor

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/wire"
)

// target is where requests go and what they look like: built once, shared by all shards, never changed.
type target struct {
	name   string // host:port as in the URL
	family int
	addr   sys.Address
	// sources are the addresses to connect from, with port 0; empty leaves it to the kernel.
	sources []sys.Address
	frame   bool
	https   bool
	host    string // without port
	// requests of http1 by kind: work and close.
	requests [4][]byte
	body     []byte // what a request carries: of http1 in requests, of frame behind the id
	expect   wire.Expect
}

// Kinds of http1 requests, indexes of target.requests.
const (
	kindWork  = 1
	kindClose = 2
)

func newTarget(p *clients.Plan) (*target, error) {
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, fmt.Errorf("reading URL %q: %w", p.URL, err)
	}
	port, known := map[string]string{"http": "80", "https": "443", "frame": ""}[u.Scheme]
	if !known || u.Host == "" {
		return nil, fmt.Errorf("reading URL %q: want http://host:port/path, https://host:port/path or frame://host:port", p.URL)
	}
	t := &target{name: u.Host, host: u.Hostname(), frame: u.Scheme == "frame", https: u.Scheme == "https"}
	host := u.Host
	if u.Port() == "" {
		if t.frame {
			return nil, fmt.Errorf("reading URL %q: frame has no default port: want frame://host:port", p.URL)
		}
		host = net.JoinHostPort(u.Hostname(), port)
	}
	a, err := net.ResolveTCPAddr("tcp", host)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", host, err)
	}
	t.addr, t.family = sys.NewAddress(a.IP, a.Port, a.Zone)
	for _, text := range p.Sources {
		ip := net.ParseIP(text)
		source, family := sys.NewAddress(ip, 0, "")
		if ip == nil || family != t.family {
			return nil, fmt.Errorf("reading source address %q: want an IP address of the same family as %s", text, a.IP)
		}
		t.sources = append(t.sources, source)
	}
	if t.frame {
		t.body = pattern(p.Scenario.Payload)
		t.expect.Body = t.body
		return t, nil
	}
	return t, t.buildRequests(p, u)
}

func (t *target) buildRequests(p *clients.Plan, u *url.URL) error {
	method := p.Method
	if method == "" {
		method = "GET"
		if p.Body != nil {
			method = "POST"
		}
	}
	for _, h := range append([]string{method}, p.Headers...) {
		if strings.ContainsAny(h, "\r\n") {
			return fmt.Errorf("building request: %q: want no line breaks", h)
		}
	}
	for _, h := range p.Headers {
		if name, _, ok := strings.Cut(h, ":"); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return fmt.Errorf("building request: header %q: want \"Name: value\"", h)
		}
	}
	for kind := range t.requests {
		path := u.RequestURI()
		if kind&kindWork != 0 {
			path = "/work"
		}
		t.requests[kind] = wire.AppendRequest(nil, method, u.Host, path, p.Headers, p.Body, kind&kindClose != 0)
	}
	t.body = p.Body
	t.expect = wire.Expect{Body: p.CheckBody, Head: method == "HEAD"}
	return nil
}

// pattern is a body of n bytes without two equal neighbouring blocks, so that a shifted echo differs.
func pattern(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d-", i)
	}
	return b.Bytes()[:n:n]
}
