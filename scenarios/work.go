package scenarios

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WorkKinds are the kinds of work in the words of --work and of work.kind, for messages.
const WorkKinds = "none, cpu=DURATION, sleep=DURATION, alloc=SIZE, downstream=URL, upload=URL"

// Kinds of work that have a name in code.
const (
	// WorkDownstream is a call of a slow dependency: a request to bin/downstream over tcp or http, and its reply.
	WorkDownstream = "downstream"
	// WorkUpload puts the request's body to an S3-compatible store, which bin/downstream can be.
	WorkUpload = "upload"
)

const (
	maxWork  = time.Minute
	maxAlloc = 1 << 30
)

// WorkSpec is work, parsed. The zero value is not valid.
type WorkSpec struct {
	Kind string // none, cpu, sleep, alloc, downstream or upload
	// Duration of cpu and sleep.
	Duration time.Duration
	// Bytes that alloc allocates and touches for each request.
	Bytes int
	// URL of downstream (tcp://host:port or http://host:port) and upload (http:// or https://host:port/bucket). Nil in a
	// scenario means that the run starts bin/downstream and puts its address in.
	URL *url.URL
}

// ParseWork reads work as written in --work and work.kind. A downstream or an upload without "=URL" is one whose address is
// not known yet.
func ParseWork(text string) (WorkSpec, error) {
	kind, value, found := strings.Cut(text, "=")
	w := WorkSpec{Kind: kind}
	bad := func(want string) (WorkSpec, error) {
		return WorkSpec{}, fmt.Errorf("work %q: want %s", text, want)
	}
	var err error
	switch kind {
	case "none":
		if found {
			return bad("none without a value")
		}
	case "cpu", "sleep":
		if w.Duration, err = time.ParseDuration(value); err != nil || w.Duration <= 0 || w.Duration > maxWork {
			return bad(fmt.Sprintf("a duration up to %v, such as %s=50us", maxWork, kind))
		}
	case "alloc":
		if w.Bytes, err = ParseSize(value); err != nil || w.Bytes < 1 || w.Bytes > maxAlloc {
			return bad("a size up to 1GiB, such as alloc=4KiB")
		}
	case WorkDownstream, WorkUpload:
		if !found {
			return w, nil
		}
		schemes := map[string][]string{WorkDownstream: {"tcp", "http"}, WorkUpload: {"http", "https"}}[kind]
		if w.URL, err = url.Parse(value); err != nil || !slices.Contains(schemes, w.URL.Scheme) || w.URL.Host == "" {
			return bad(fmt.Sprintf("%s=URL with scheme %s, such as %s=%s://127.0.0.1:9000", kind, strings.Join(schemes, " or "), kind, schemes[0]))
		}
	default:
		return bad("one of " + WorkKinds)
	}
	return w, nil
}

// ParseSize reads a number of bytes such as "512", "4KiB" or "1MiB".
func ParseSize(text string) (int, error) {
	number, unit := text, 1
	for _, u := range []struct {
		name  string
		bytes int
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}} {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			number, unit = n, u.bytes
			break
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 0 || n > (1<<40)/unit {
		return 0, fmt.Errorf("size %q: want a number of bytes such as 512, 4KiB or 1MiB", text)
	}
	return n * unit, nil
}

// Calls reports whether the work needs bin/downstream, started by the run.
func (w Work) Calls() bool { return w.Kind == WorkDownstream || w.Kind == WorkUpload }

func (w Work) validate() error {
	spec, err := ParseWork(w.Kind)
	switch {
	case err != nil:
		return fmt.Errorf("work.kind: %w", err)
	case spec.Kind == "none" && w.Share > 0:
		return fmt.Errorf("work.share %v with work.kind none: want 0%%, or a kind of work", w.Share)
	case spec.Kind != "none" && w.Share == 0:
		return fmt.Errorf("work.kind %s with work.share 0%%: nobody would ask for the work: want a share up to 100%%, or kind none", w.Kind)
	}
	return nil
}

// Request is what requests of http1 look like.
type Request struct {
	// Method is GET or POST. Default GET.
	Method string `yaml:"method" json:"method,omitempty"`
	// Body of a POST is "json": an object that carries the request's number, of Payload bytes altogether, which a good reply
	// echoes.
	Body string `yaml:"body" json:"body,omitempty"`
}

// minJSON is the least payload that holds a JSON body with a request's number.
const minJSON = 64

func (r *Request) setDefaults() {
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Method == "POST" && r.Body == "" {
		r.Body = "json"
	}
}

func (s *Scenario) validateRequest() error {
	r := &s.Request
	if err := oneOf("request.method", r.Method, []string{"GET", "POST"}); err != nil {
		return err
	}
	switch {
	case r.Method == "GET" && r.Body != "":
		return fmt.Errorf("request.body %q with request.method GET: want POST, or no body", r.Body)
	case r.Method == "POST" && r.Body != "json":
		return fmt.Errorf("request.body %q: want json", r.Body)
	case r.Method == "POST" && s.Protocol != "http1":
		return fmt.Errorf("request.method POST with protocol %s: want http1", s.Protocol)
	case r.Method == "POST" && s.Payload < minJSON:
		return fmt.Errorf("payload %d with request.body json: want at least %d bytes", s.Payload, minJSON)
	case strings.HasPrefix(s.Work.Kind, WorkUpload) && r.Method != "POST":
		return fmt.Errorf("work.kind %s with request.method %s: there is nothing to upload: want POST", s.Work.Kind, r.Method)
	}
	return nil
}
