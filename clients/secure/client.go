// Package secure puts TLS between a load engine and its sockets, by crypto/tls. A handshake waits and computes for long, so
// each has a goroutine of its own; what follows runs on the engine's thread, which never blocks.
package secure

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/clients"
)

// versions are those that a plan may name, the oldest first.
var versions = []struct {
	name string
	id   uint16
}{{"1.0", tls.VersionTLS10}, {"1.1", tls.VersionTLS11}, {"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13}}

// sessionsKept is how many sessions a resuming load remembers; all are of one server.
const sessionsKept = 64

// Client is what all connections of a load have in common. It may be shared by the engine's threads.
type Client struct {
	config *tls.Config
	// turns are taken by handshakes while they compute, so that the scheduler always has a place for the engine's threads.
	// One that waits for the server holds none: however many there are may be under way.
	turns chan struct{}
	wg    sync.WaitGroup // handshakes
}

// NewClient reads a plan's options, nil being the zero value, for a server named by a URL's host. The engine's threads are
// those that must never wait for a handshake: as many of GOMAXPROCS are left to them, and one for the rest of the program.
func NewClient(o *clients.TLS, host string, threads int) (*Client, error) {
	if o == nil {
		o = &clients.TLS{}
	}
	config := &tls.Config{
		ServerName: o.ServerName, InsecureSkipVerify: o.Insecure, NextProtos: []string{"http/1.1"},
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13,
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	for _, v := range []struct {
		what, name string
		to         *uint16
	}{{"lowest", o.Min, &config.MinVersion}, {"highest", o.Max, &config.MaxVersion}} {
		if v.name == "" {
			continue
		}
		id, err := version(v.name)
		if err != nil {
			return nil, fmt.Errorf("reading %s TLS version: %w", v.what, err)
		}
		*v.to = id
	}
	switch {
	case o.Min == "" && config.MaxVersion < config.MinVersion:
		config.MinVersion = config.MaxVersion
	case config.MaxVersion < config.MinVersion:
		return nil, fmt.Errorf("reading TLS versions: lowest %s, highest %s: want the lowest first", o.Min, o.Max)
	}
	if len(o.Authorities) > 0 {
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(o.Authorities) {
			return nil, fmt.Errorf("reading certificate authorities: no certificate found: want PEM, beginning with -----BEGIN CERTIFICATE-----")
		}
	}
	if o.Resume {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(sessionsKept)
	}
	if net.ParseIP(config.ServerName) == nil && strings.ContainsAny(config.ServerName, " :/") {
		return nil, fmt.Errorf("reading server name %q: want a host name or an IP address", config.ServerName)
	}
	return &Client{config: config, turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-threads-1))}, nil
}

func version(name string) (uint16, error) {
	var known []string
	for _, v := range versions {
		if v.name == name {
			return v.id, nil
		}
		known = append(known, v.name)
	}
	return 0, fmt.Errorf("%q: want one of %s", name, strings.Join(known, ", "))
}

// Verifies reports whether servers' certificates are checked.
func (c *Client) Verifies() bool { return !c.config.InsecureSkipVerify }

// Wait returns when no handshake is under way any more. None may be started meanwhile.
func (c *Client) Wait() { c.wg.Wait() }

// nameOf is a version's name in reports.
func nameOf(id uint16) string {
	i := slices.IndexFunc(versions, func(v struct {
		name string
		id   uint16
	}) bool {
		return v.id == id
	})
	if i < 0 {
		return fmt.Sprintf("0x%04x", id)
	}
	return versions[i].name
}
