package secure

import (
	"crypto/tls"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/hist"
)

// Tally counts what the handshakes of one thread agreed on. The zero value is ready.
type Tally struct {
	// LastError is of the last handshake or record that failed.
	LastError  string
	handshakes int64
	resumed    int64
	versions   map[uint16]int64
	suites     map[uint16]int64
	took       *hist.Histogram
}

// Count takes a session whose handshake went well.
func (t *Tally) Count(s *Session) {
	if t.took == nil {
		t.versions, t.suites, t.took = map[uint16]int64{}, map[uint16]int64{}, hist.New()
	}
	state := s.tls.ConnectionState()
	t.handshakes++
	if state.DidResume {
		t.resumed++
	}
	t.versions[state.Version]++
	t.suites[state.CipherSuite]++
	t.took.Record(s.took)
}

// Report adds up the tallies of all threads. How long the handshakes took comes apart, as Report.HandshakeNs is to be made of
// those of all processes.
func (c *Client) Report(tallies []*Tally) (*clients.TLSReport, *hist.Histogram) {
	r := &clients.TLSReport{Verified: c.Verifies(), Versions: map[string]int64{}, CipherSuites: map[string]int64{}}
	took := hist.New()
	for _, t := range tallies {
		r.Handshakes += t.handshakes
		r.Resumed += t.resumed
		for id, n := range t.versions {
			r.Versions[nameOf(id)] += n
		}
		for id, n := range t.suites {
			r.CipherSuites[tls.CipherSuiteName(id)] += n
		}
		if t.took != nil {
			took.Merge(t.took)
		}
		if t.LastError != "" {
			r.LastError = t.LastError
		}
	}
	return r, took
}
