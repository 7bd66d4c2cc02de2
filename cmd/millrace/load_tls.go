package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor"
	"github.com/millrace/millrace/clients/request"
	"github.com/millrace/millrace/internal/quantity"
)

// tlsEngine makes the load of https URLs.
const tlsEngine = "tls"

// tlsFlags are the flags of `millrace load` about https.
type tlsFlags struct {
	insecure, resume          bool
	ca, serverName, low, high string
}

func (f *tlsFlags) register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.insecure, "insecure", false, "https: take any certificate")
	fl.StringVar(&f.ca, "ca", "", "https: file of PEM certificates to check the server's against (default: the host's roots)")
	fl.StringVar(&f.serverName, "server-name", "", "https: name to ask for and to find in the certificate (default: the URL's host)")
	fl.StringVar(&f.low, "tls-min", "", "https: lowest version to offer: 1.0, 1.1, 1.2 or 1.3 (default 1.2)")
	fl.StringVar(&f.high, "tls-max", "", "https: highest version to offer (default 1.3)")
	fl.BoolVar(&f.resume, "tls-resume", false, "https: let new connections resume sessions (default: every one does a full handshake)")
}

// engineFor is the engine that a URL is loaded by, where the flags name none.
func engineFor(url, engine string, named bool) (string, error) {
	https := strings.HasPrefix(url, "https://")
	switch {
	case https && !named:
		return tlsEngine, nil
	case https && engine != tlsEngine && slices.Contains(clients.Engines, engine):
		return "", fmt.Errorf("--engine %s with %s: want --engine tls, which https:// has of itself", engine, url)
	case !https && engine == tlsEngine:
		return "", fmt.Errorf("--engine tls with %s: want https://host:port/path", url)
	}
	return engine, nil
}

// plan is nil for a URL that is not https.
func (f *tlsFlags) plan(url string) (*clients.TLS, error) {
	if !strings.HasPrefix(url, "https://") {
		if *f != (tlsFlags{}) {
			return nil, fmt.Errorf("--insecure, --ca, --server-name, --tls-min, --tls-max and --tls-resume: only with https://host:port/path, not %s", url)
		}
		return nil, nil
	}
	if f.insecure && f.ca != "" {
		return nil, fmt.Errorf("--insecure with --ca %s: want one of them", f.ca)
	}
	t := &clients.TLS{Insecure: f.insecure, ServerName: f.serverName, Min: f.low, Max: f.high, Resume: f.resume}
	if f.ca == "" {
		return t, nil
	}
	var err error
	if t.Authorities, err = readAtMost(f.ca, request.MaxFile); err != nil {
		return nil, fmt.Errorf("reading --ca: %w", err)
	}
	if len(t.Authorities) == 0 { // which would mean the host's roots
		return nil, fmt.Errorf("reading --ca %s: no certificate found: want PEM", f.ca)
	}
	return t, nil
}

const (
	// tlsMemory and tlsConnectionMemory are when the collector starts after all: crypto/tls leaves some 100 KB of garbage
	// for a handshake and 64 bytes for a reply, and keeps some 20 KB a connection.
	tlsMemory           = 256 << 20
	tlsConnectionMemory = 128 << 10
)

// tuneForTLS makes room in the scheduler for as many handshakes at once as there are CPUs, beside the threads of
// tuneForLoad, and lets the collector run now and then.
func tuneForTLS(connections int) {
	n := runtime.NumCPU()
	runtime.GOMAXPROCS(min(n, reactor.MaxShards) + 1 + n)
	debug.SetMemoryLimit(tlsMemory + int64(connections)*tlsConnectionMemory)
}

// printTLS tells what the handshakes agreed on, and that this is the slower path.
func printTLS(w io.Writer, t *clients.TLSReport) {
	if t == nil {
		return
	}
	fmt.Fprintf(w, "tls        %s, %s; %d of %s resumed a session", counted("TLS ", t.Versions), counted("", t.CipherSuites), t.Resumed, quantity.Count(t.Handshakes, "handshake"))
	if p50 := t.HandshakeNs.P50; p50 != nil {
		fmt.Fprintf(w, ", p50 %s", quantity.Format(float64(*p50), quantity.Time))
	}
	if !t.Verified {
		fmt.Fprint(w, "; certificate not checked")
	}
	fmt.Fprint(w, "\n           through crypto/tls in the client: slower than engine epoll, and its floor is lower\n")
	if t.LastError != "" {
		fmt.Fprintf(w, "           last error: %s\n", t.LastError)
	}
}

// counted lists the names of a count, the largest first, with their numbers if there are several.
func counted(prefix string, n map[string]int64) string {
	names := make([]string, 0, len(n))
	for name := range n {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if n[a] != n[b] {
			return int(n[b] - n[a])
		}
		return strings.Compare(a, b)
	})
	if len(names) == 1 {
		return prefix + names[0]
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%s%s on %d", prefix, name, n[name])
	}
	return strings.Join(names, ", ")
}
