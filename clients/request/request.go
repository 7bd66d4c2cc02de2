// Package request says what a plan asks a server for: its requests checked and brought to one form, with their counters, so
// that every engine sends the same; and it reads the lists that people write, targets files and pools of source addresses.
package request

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/wire"
)

// Limits on what a plan may ask for.
const (
	// MaxRequests is the most different requests of a plan.
	MaxRequests = 10_000
	// maxBody is the largest body in bytes, the codecs' limit.
	maxBody = 1<<20 - 8
	// minJSON is the least of a JSON body with a request's number.
	minJSON = 64
	// maxHead is the most bytes of a path or of all headers together; servers commonly take 8 KiB.
	maxHead = 16 << 10
	// WorkPath is where a request asks for work, by the server contract.
	WorkPath = "/work"
)

// Request is one thing to ask for, complete.
type Request struct {
	// Scheme is http, https, frame, push or ws.
	Scheme string
	// Address is host:port to connect to, with the zone of an IPv6 address; a unix socket may take its place.
	Address string
	// Name is the URL's host without port, and Host what the Host header says where no header does.
	Name, Host string
	// Method, Path and Headers are empty in frame and push, and ws has a Path only, to upgrade at. Path begins with a slash, or is
	// * of OPTIONS.
	Method  string
	Path    Template
	Headers []Header
	// HasBody tells an empty body from none.
	HasBody bool
	Body    Template
	// Echoed says that a good reply has the request's own body, whatever Plan.CheckBody says.
	Echoed bool
	// Channel is what to subscribe to, in push; empty for the one without a name.
	Channel string
}

// Header is a field of an http1 request.
type Header struct {
	Name  string
	Value Template
}

// Of returns the requests of a plan, at least one, all with the same scheme.
func Of(p *clients.Plan) ([]Request, error) {
	given := p.Requests
	if len(given) == 0 {
		given = []clients.Request{{URL: p.URL, Method: p.Method, Headers: p.Headers, Body: p.Body}}
	}
	if len(given) > MaxRequests {
		return nil, fmt.Errorf("reading requests: %d of them: want at most %d", len(given), MaxRequests)
	}
	posts := p.Scenario.Request.Method == "POST" && p.Scenario.Protocol == "http1"
	out := make([]Request, 0, len(given))
	for _, g := range given {
		r, err := newRequest(g)
		if err != nil {
			return nil, err
		}
		if len(out) > 0 && r.Scheme != out[0].Scheme {
			return nil, fmt.Errorf("reading URL %q: scheme %s beside %s: want one scheme for all", g.URL, r.Scheme, out[0].Scheme)
		}
		if posts && (g.Method != "" || g.Body != nil) {
			return nil, fmt.Errorf("building request %s: method %s or a body of its own beside the scenario's request.method POST: want one of the two", g.URL, r.Method)
		}
		if posts {
			if err := r.post(p.Scenario.Payload); err != nil {
				return nil, err
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// post makes the request one of a scenario that posts JSON of so many bytes.
func (r *Request) post(payload int) error {
	if payload < minJSON || payload > maxBody {
		return fmt.Errorf("building request: a JSON body of %d bytes: want %d to %d", payload, minJSON, maxBody)
	}
	r.Method, r.HasBody, r.Echoed, r.Body = "POST", true, true, JSONBody(payload)
	r.Headers = append(r.Headers, Header{"Content-Type", ParseTemplate([]byte("application/json"))})
	return nil
}

// defaultPorts are those of the schemes there are; frame and push have none.
var defaultPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "frame": "", "push": ""}

func newRequest(g clients.Request) (Request, error) {
	u, err := url.Parse(unbraced(g.URL))
	if err != nil {
		return Request{}, fmt.Errorf("reading URL %q: %w", g.URL, err)
	}
	port, known := defaultPorts[u.Scheme]
	switch {
	case !known || u.Host == "" || u.Hostname() == "":
		return Request{}, fmt.Errorf("reading URL %q: want http://host:port/path, https://host:port/path, ws://host:port/path, frame://host:port or push://host:port/channel", g.URL)
	case u.User != nil:
		return Request{}, fmt.Errorf("reading URL %q: names a user: want a header, such as 'Authorization: Basic …'", g.URL)
	case braced(u.Host) != u.Host:
		return Request{}, fmt.Errorf("reading URL %q: want {n} in the path or the query only", g.URL)
	case u.Port() == "" && port == "":
		return Request{}, fmt.Errorf("reading URL %q: %s has no default port: want %s://host:port", g.URL, u.Scheme, u.Scheme)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	r := Request{Scheme: u.Scheme, Address: net.JoinHostPort(u.Hostname(), port), Name: u.Hostname(), Host: withoutZone(u)}
	if r.HasBody = g.Body != nil; len(g.Body) > maxBody {
		return Request{}, fmt.Errorf("building request %s: body of %d bytes: want at most %d", g.URL, len(g.Body), maxBody)
	}
	r.Body = ParseTemplate(g.Body)
	if r.Scheme == "frame" {
		if g.Method != "" && g.Method != "GET" || len(g.Headers) > 0 || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			return Request{}, fmt.Errorf("building request %s: a frame has no method, no headers and no path: want a body only", g.URL)
		}
		return r, nil
	}
	if r.Scheme == "ws" {
		if g.Method != "" && g.Method != "GET" || len(g.Headers) > 0 || braced(u.RequestURI()) != u.RequestURI() || len(u.RequestURI()) > maxHead {
			return Request{}, fmt.Errorf("building request %s: a WebSocket message has no method and no headers, and one path of up to %d bytes for all: want a body only", g.URL, maxHead)
		}
		r.Path = fixedText([]byte(u.RequestURI()))
		return r, nil
	}
	if r.Scheme == "push" {
		if g.Method != "" && g.Method != "GET" || len(g.Headers) > 0 || r.HasBody || u.RawQuery != "" {
			return Request{}, fmt.Errorf("building request %s: a subscriber sends no request: want no method, no headers, no body and no query", g.URL)
		}
		r.Channel = strings.TrimPrefix(u.Path, "/")
		if r.Channel != "" && !wire.ValidChannel([]byte(r.Channel)) {
			return Request{}, fmt.Errorf("reading URL %q: channel %q: want up to %d printable characters without blanks", g.URL, r.Channel, wire.MaxChannel)
		}
		return r, nil
	}
	return r, r.setHead(g, u)
}

// setHead fills what only http1 has.
func (r *Request) setHead(g clients.Request, u *url.URL) error {
	if r.Method = g.Method; r.Method == "" {
		r.Method = "GET"
		if r.HasBody {
			r.Method = "POST"
		}
	}
	if !isToken(r.Method) || r.Method == "CONNECT" {
		return fmt.Errorf("building request %s: method %q: want a word such as GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS", g.URL, r.Method)
	}
	path := braced(u.RequestURI())
	size := len(path)
	r.Path = ParseTemplate([]byte(path))
	for _, line := range g.Headers {
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		switch {
		case strings.ContainsAny(line, "\r\n\x00"):
			return fmt.Errorf("building request: %q: want no line breaks", line)
		case !ok || !isToken(name):
			return fmt.Errorf("building request: header %q: want \"Name: value\"", line)
		case strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding"):
			return fmt.Errorf("building request: header %q: follows from the body: leave it out", line)
		case strings.EqualFold(name, "Host") && strings.Contains(value, "{n}"):
			return fmt.Errorf("building request: header %q: want a host without a counter", line)
		}
		size += len(line)
		r.Headers = append(r.Headers, Header{name, ParseTemplate([]byte(value))})
	}
	if size > maxHead {
		return fmt.Errorf("building request %s: path and headers of %d bytes: want at most %d", g.URL, size, maxHead)
	}
	return nil
}

// NamesHost reports whether one of the headers is Host.
func (r *Request) NamesHost() bool {
	return slices.ContainsFunc(r.Headers, func(h Header) bool { return strings.EqualFold(h.Name, "Host") })
}

// Counts reports whether the request differs from number to number.
func (r *Request) Counts() bool {
	for i := range r.Headers {
		if r.Headers[i].Value.Counts() {
			return true
		}
	}
	return r.Path.Counts() || r.Body.Counts()
}

// SendsLength reports whether the request announces the length of its body: where there is one, and where the method calls
// for one.
func (r *Request) SendsLength() bool {
	return r.Body.Len(0) > 0 || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH"
}

// Braces are no characters of a URL, and package url would escape them: they are put aside while it reads one. The stand-ins
// are valid in paths and queries and hardly a part of anyone's.
var (
	aside = strings.NewReplacer("{{n}}", "-~~millrace-nn~~-", "{n}", "-~~millrace-n~~-")
	back  = strings.NewReplacer("-~~millrace-nn~~-", "{{n}}", "-~~millrace-n~~-", "{n}")
)

func unbraced(s string) string { return aside.Replace(s) }
func braced(s string) string   { return back.Replace(s) }

// withoutZone is the URL's host as the Host header has it: the zone of an IPv6 address means something on this host only
// (RFC 6874, 4).
func withoutZone(u *url.URL) string {
	from, to := strings.IndexByte(u.Host, '%'), strings.LastIndexByte(u.Host, ']')
	if from < 0 || to < from {
		return u.Host
	}
	return u.Host[:from] + u.Host[to:]
}

// isToken reports whether s is a token of RFC 9110, 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// Turn is which of count requests arrival n is: in turn.
func Turn(n int64, count int) int {
	if count == 1 {
		return 0
	}
	return int(n % int64(count))
}

// Spread is which of count requests arrival n is where n itself follows a pattern, as on the connections of one of several
// servers: any of them, as often as the others, by n alone (SplitMix64).
func Spread(n int64, count int) int {
	if count == 1 {
		return 0
	}
	z := uint64(n+1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(count))
}
