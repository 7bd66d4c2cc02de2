// Package scenarios says what load is offered and what work is done: scenarios are pure data in YAML, decoded
// strictly, checked completely, and never touched by anything that does I/O.
package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Scenario is one workload, the same for every server. The zero value is not valid; see Decode and Named.
// A Scenario is plain data: it may be copied after Clone and read by any number of goroutines.
type Scenario struct {
	Name string `yaml:"name" json:"name"`
	// Why is a paragraph: what the scenario shows, what it can't show, and the ceiling that arithmetic sets.
	Why string `yaml:"why" json:"why"`
	// Protocol is one of Protocols.
	Protocol string `yaml:"protocol" json:"protocol"`
	// Payload is the size in bytes of a reply's body (http1), of the echoed body (frame) or of what a pushed frame has
	// behind its clock (push). Default 13.
	Payload     int         `yaml:"payload" json:"payload"`
	Connections Connections `yaml:"connections" json:"connections"`
	Work        Work        `yaml:"work" json:"work"`
	// Request is what requests of http1 look like.
	Request Request `yaml:"request" json:"request,omitzero"`
	// Downstream scripts the slow dependency that work of kinds "downstream" and "upload" calls.
	Downstream Downstream `yaml:"downstream" json:"downstream,omitzero"`
	// Push is what the server sends on its own; see Pushes.
	Push PushLoad `yaml:"push" json:"push,omitzero"`
	// Replicas is how many processes a server runs as: a number, or "auto" for as few as the limits of one process allow.
	// Default 1.
	Replicas Replicas `yaml:"replicas" json:"replicas,omitempty"`
	// Servers are the variants that run unless others are named; empty runs every model that speaks the protocol.
	Servers []string `yaml:"servers" json:"servers,omitempty"`
	// Timeout is how long a request may stay unanswered after it was sent; then its outcome is "timeout" and its
	// connection is closed. Waiting for a connection does not count towards it. Default 10s.
	Timeout Duration `yaml:"timeout" json:"timeout"`
	// Phases follow one another without a gap. The first one is preceded by an implicit phase "connect" where
	// Connections.Open is "before" (see ConnectFor).
	Phases []Phase `yaml:"phases" json:"phases"`
	// Sweep are the steps that a round takes with every server, each a trial of its own; empty: one trial as written.
	Sweep []Step `yaml:"sweep" json:"sweep,omitempty"`
	// Expect are statements about the results, each decided on the rounds.
	Expect []Expectation `yaml:"expect" json:"expect,omitempty"`
	// Quick holds the fields that --quick changes, by path, as --set does.
	Quick map[string]any `yaml:"quick" json:"quick,omitempty"`
}

// Connections says how many connections there are and how they live.
type Connections struct {
	// Count is the exact number of connections held open, or, with Requests > 0, the most that may be open at once.
	Count int `yaml:"count" json:"count"`
	// Rate is the pace of connecting, over all agents. Zero means as fast as they come.
	Rate Rate `yaml:"rate" json:"rate"`
	// Pipeline is how many requests may be unanswered on one connection. Default 1.
	Pipeline int `yaml:"pipeline" json:"pipeline"`
	// Requests is how many requests a connection carries before it is closed; the next one opens a new connection.
	// Zero means that a connection is kept to the end. With Requests > 0 connections are opened when a request needs
	// one, and connecting is part of that request's response time.
	Requests int `yaml:"requests" json:"requests"`
	// Close is who ends a connection and how: "none" (kept until the end), "fin-client" (the client closes after the
	// last reply), "fin-server" (the client asks with Connection: close, http1 only) or "rst" (the client resets).
	Close string `yaml:"close" json:"close"`
	// Trickle is how often each connection that takes no requests (see Phase.Active) sends one all the same, so that
	// nobody takes it for dead. They are evenly staggered, count as planned, and their latencies are kept apart. Zero means
	// never.
	Trickle Duration `yaml:"trickle" json:"trickle,omitempty"`
	// Renew is the share of the open connections that is closed and opened anew each second, evenly spread over it and over
	// the connections; each new one exchanges a request at once. Only connections without a request under way are taken.
	Renew Percent `yaml:"renew" json:"renew,omitempty"`
	// Steps are increasing connection counts that one trial climbs: a phase with Each "step" is repeated for each of
	// them. Empty: all of Count at once. The last step equals Count after Resolve.
	Steps []int `yaml:"steps" json:"steps,omitempty"`
}

// Work is what the server does for a request that asks for work, in the words of the server's --work flag.
type Work struct {
	// Kind is "none" or one of the others of WorkKinds, as ParseWork reads it.
	Kind string `yaml:"kind" json:"kind"`
	// Share is the share of requests that ask for the work, evenly spread; the others are bystanders. Latencies of the two
	// are kept apart where it is neither 0% nor 100%.
	Share Percent `yaml:"share" json:"share"`
}

// Phase is a named span of a trial with a fixed offset from T0.
type Phase struct {
	Name string `yaml:"name" json:"name"`
	// Load is "steady" or "overload". In "overload" more is offered than anybody can send.
	Load string   `yaml:"load" json:"load"`
	For  Duration `yaml:"for" json:"for"`
	// Arrivals of requests. The zero value offers none.
	Arrivals Arrivals `yaml:"arrivals" json:"arrivals"`
	// Measure marks the phases that count.
	Measure bool `yaml:"measure" json:"measure"`
	// Open is the number of connections that are open from this phase on; each newly opened one exchanges one request
	// at once. Zero leaves the number as it is. Set by Resolve for phases with Each "step".
	Open int `yaml:"open" json:"open,omitempty"`
	// Each is "" or "step": then Resolve replaces the phase by one per connection step, named NAME-COUNT.
	Each string `yaml:"each" json:"each,omitempty"`
	// Active is the share of the open connections that take requests. Default 100%.
	Active Percent `yaml:"active" json:"active,omitempty"`
}

// Protocols in which more happens than in http1 and frame.
const (
	// Push is the protocol in which the server sends on its own: its scenarios plan no requests.
	Push = "push"
	// WS is WebSocket, RFC 6455: a binary message holds what a frame has behind its length. With Scenario.Push the server
	// sends on its own, as in Push; without, it echoes.
	WS = "ws"
)

// Closed sets of words, each the one truth for messages, flags and tests.
var (
	Protocols     = []string{"http1", "frame", Push, WS}
	LoadKinds     = []string{"steady", "overload"}
	ClosePolicies = []string{"none", "fin-client", "fin-server", "rst"}
)

// ConnectSlack is added to the time that connecting takes by arithmetic, so that the first phase starts with all
// connections open on a host that hiccups.
const ConnectSlack = 500 * time.Millisecond

// ConnectFor is the length of the implicit phase "connect": Count ÷ Rate and ConnectSlack, rounded up to whole seconds,
// so that one-second windows lie within phases. It is a second where connections are opened by phases or by requests.
func (s *Scenario) ConnectFor() time.Duration {
	d := ConnectSlack
	if !s.OpensLater() && s.Connections.Rate > 0 {
		d += time.Duration(float64(s.Connections.Count) / float64(s.Connections.Rate) * float64(time.Second))
	}
	return (d + time.Second - 1).Truncate(time.Second)
}

// OpensLater reports whether connections are opened by steps or by requests and not before the first phase.
func (s *Scenario) OpensLater() bool {
	if s.Connections.Requests > 0 {
		return true
	}
	for _, p := range s.Phases {
		if p.Open > 0 || p.Each == "step" {
			return true
		}
	}
	return false
}

// Duration is the length of a trial from T0, connecting included.
func (s *Scenario) Duration() time.Duration {
	d := s.ConnectFor()
	for _, p := range s.Phases {
		d += time.Duration(p.For)
	}
	return d
}

// Clone returns a deep copy.
func (s *Scenario) Clone() *Scenario {
	c := *s
	c.Phases = append([]Phase(nil), s.Phases...)
	c.Connections.Steps = append([]int(nil), s.Connections.Steps...)
	c.Servers = slices.Clone(s.Servers)
	c.Downstream.Windows = slices.Clone(s.Downstream.Windows)
	c.Sweep = slices.Clone(s.Sweep)
	for i := range c.Sweep {
		c.Sweep[i].Set = maps.Clone(s.Sweep[i].Set)
	}
	c.Expect = slices.Clone(s.Expect)
	c.Quick = make(map[string]any, len(s.Quick))
	for k, v := range s.Quick {
		c.Quick[k] = v
	}
	return &c
}

// Resolve returns the scenario as it runs: steps expanded into phases, nothing left to a default or to a file. It does not
// change s.
func (s *Scenario) Resolve() (*Scenario, error) {
	r := s.Clone()
	r.setDefaults()
	if err := r.Validate(); err != nil {
		return nil, err
	}
	var phases []Phase
	for _, p := range r.Phases {
		if t := p.Arrivals.Trace; t != nil && t.TimesNs == nil {
			return nil, fmt.Errorf("phases.%s.arrivals.trace: file %s is not read: only scenarios run by their path may name one", p.Name, t.File)
		}
		if p.Each == "" {
			phases = append(phases, p)
			continue
		}
		for _, n := range r.Connections.Steps {
			q := p
			q.Each, q.Open, q.Name = "", n, fmt.Sprintf("%s-%d", p.Name, n)
			phases = append(phases, q)
		}
	}
	r.Phases, r.Quick = phases, nil
	return r, nil
}

func (s *Scenario) setDefaults() {
	c := &s.Connections
	if s.Payload == 0 {
		s.Payload = 13
	}
	if s.Timeout == 0 {
		s.Timeout = Duration(10 * time.Second)
	}
	if c.Pipeline == 0 {
		c.Pipeline = 1
	}
	if c.Close == "" {
		c.Close = "none"
	}
	if s.Work.Kind == "" {
		s.Work.Kind = "none"
	}
	if s.Replicas == "" {
		s.Replicas = "1"
	}
	s.Request.setDefaults()
	s.Downstream.setDefaults(s.Work)
	s.Push.setDefaults(s.Pushes())
	if n := len(c.Steps); n > 0 && c.Count == 0 {
		c.Count = c.Steps[n-1]
	}
	for i := range s.Phases {
		if s.Phases[i].Load == "" {
			s.Phases[i].Load = "steady"
		}
		if s.Phases[i].Active == 0 {
			s.Phases[i].Active = 100
		}
	}
}

// LimitConnections lowers the scenario to at most n connections and reports whether it had to. Steps above n are cut to
// n, so that the last step is the most that the host can hold.
func (s *Scenario) LimitConnections(n int) bool {
	c := &s.Connections
	changed := c.Count > n
	c.Count = min(c.Count, n)
	var steps []int
	for _, step := range c.Steps {
		if step > n {
			changed = true
			step = n
		}
		if len(steps) == 0 || steps[len(steps)-1] < step {
			steps = append(steps, step)
		}
	}
	c.Steps = steps
	for i := range s.Phases {
		s.Phases[i].Open = min(s.Phases[i].Open, n)
	}
	return changed
}
