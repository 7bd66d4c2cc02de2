package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/request"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/runner/host"
)

// targetFlags are the flags of `millrace load` about what is asked for, where, and from where.
type targetFlags struct {
	method, body, file, socket, source string
	headers                            []string
}

func (f *targetFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.method, "method", "", "http1 method (default GET, with a body POST)")
	fl.StringArrayVarP(&f.headers, "header", "H", nil, "http1 header, such as 'X-Id: 7' (repeatable)")
	fl.StringVar(&f.body, "body", "", "request body (http1, frame), or @FILE")
	fl.StringVar(&f.file, "targets", "", "file of requests to send in turn, in vegeta's http format or one URL a line, instead of URLs")
	fl.StringVar(&f.socket, "unix-socket", "", "connect to this unix socket, @NAME for an abstract one, whatever host the URL names")
	fl.StringVar(&f.source, "source", "", "local addresses to connect from, such as 127.0.0.2-127.0.0.20,::1 or 127.0.1.0/28 (default: as needed)")
}

// requests are those of the arguments or of --targets, at least one. set reports whether a flag was given.
func (f *targetFlags) requests(urls []string, set func(string) bool) ([]clients.Request, error) {
	common := clients.Request{Method: f.method, Headers: f.headers}
	if set("body") {
		common.Body = []byte(f.body)
		if name, ok := strings.CutPrefix(f.body, "@"); ok {
			var err error
			if common.Body, err = readAtMost(name, request.MaxFile); err != nil {
				return nil, fmt.Errorf("reading --body: %w", err)
			}
		}
	}
	switch {
	case len(urls) > 0 && f.file != "":
		return nil, fmt.Errorf("--targets %s with a URL: want one of them", f.file)
	case f.file != "":
		data, err := readAtMost(f.file, request.MaxFile)
		if err != nil {
			return nil, fmt.Errorf("reading --targets: %w", err)
		}
		out, err := request.ParseFile(data, common, func(name string) ([]byte, error) { return readAtMost(name, request.MaxFile) })
		if err != nil {
			return nil, fmt.Errorf("reading --targets %s: %w", f.file, err)
		}
		return out, nil
	case len(urls) == 0:
		return nil, fmt.Errorf("no URL: want http://host:port/path, https://host:port/path or frame://host:port, or --targets FILE, or push://host:port/channel")
	}
	var out []clients.Request
	for _, url := range urls {
		if !strings.Contains(url, "://") {
			return nil, fmt.Errorf("URL %q: want http://host:port/path, https://host:port/path, frame://host:port or push://host:port/channel", url)
		}
		r := common
		r.URL = url
		out = append(out, r)
	}
	return out, nil
}

// apply puts what is asked for into a plan whose scenario is known, and checks it.
func (f *targetFlags) apply(p *clients.Plan, requests []clients.Request) error {
	first := requests[0]
	p.URL, p.Method, p.Headers, p.Body, p.UnixSocket = first.URL, first.Method, first.Headers, first.Body, f.socket
	if len(requests) > 1 {
		p.Requests = requests
	}
	var err error
	if p.Sources, err = request.ParseSources(f.source); err != nil {
		return fmt.Errorf("--source: %w", err)
	}
	all, err := request.Of(p)
	if err != nil {
		return err
	}
	if f.source == "" && f.socket == "" && allLoopback(all) {
		p.Sources = host.SourceAddresses(&p.Scenario)
	}
	return nil
}

// allLoopback reports whether every request goes to an address in 127.0.0.0/8, from which others can stand in as sources.
func allLoopback(all []request.Request) bool {
	for i := range all {
		if !strings.HasPrefix(all[i].Name, "127.") {
			return false
		}
	}
	return true
}

// readAtMost reads a file, or says that it is too large. What a file says of its size is not relied on: a pipe says nothing, and
// a device has no end.
func readAtMost(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes: want at most so many", name, most)
	}
	return data, err
}

// notEmpty finds flags that were given an empty text, as an unset variable of a script does: without --rate the loop is
// closed, which must not happen by a slip. Only a body may be empty.
func notEmpty(fl *pflag.FlagSet) error {
	var err error
	fl.Visit(func(g *pflag.Flag) {
		if err == nil && g.Value.Type() == "string" && g.Value.String() == "" && g.Name != "body" {
			err = fmt.Errorf("--%s is empty: leave it out, or give %s", g.Name, g.Usage)
		}
	})
	return err
}

// unresolved makes a name that does not resolve a failure of this load, and not an error in what was asked for: the same name may
// resolve tomorrow.
func unresolved(err error) error {
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		return err
	}
	return &statusError{exitFailed, fmt.Errorf("%w: check the name, or give the host's address", err)}
}

// where is what a report is about, for people.
func where(r *clients.Report) string {
	text := r.URL
	if r.Requests > 1 {
		text += " and " + quantity.Count(r.Requests-1, "other request")
	}
	if r.UnixSocket != "" {
		text += " through " + r.UnixSocket
	}
	return text
}
