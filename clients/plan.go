// Package clients is the ruler: what a load is asked to do (Plan), what becomes of its requests (Outcome) and what it tells
// (Report). The engines that make the load, the arrivals, the recording and its checks are in subpackages. It knows no server.
package clients

import (
	"context"
	"errors"

	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/scenarios"
)

// Plan is what one load agent is asked to do. It is data: it travels as JSON and stands in the record as it ran.
type Plan struct {
	// URL is http://host:port/path, https:// with engine tls, or frame://host:port; the protocol follows from the scheme.
	URL string `json:"url"`
	// Scenario is resolved. All counts and rates in it are totals over all agents.
	Scenario scenarios.Scenario `json:"scenario"`
	// Engine is one of Engines.
	Engine string `json:"engine"`
	// Method, Headers ("Name: value") and Body are of an http1 request; GET without a body by default.
	Method  string   `json:"method,omitempty"`
	Headers []string `json:"headers,omitempty"`
	Body    []byte   `json:"body,omitempty"`
	// Requests, if there are any, take the place of URL, Method, Headers and Body, which are then the first one's: they are
	// sent in turn where all go to one host and port. Otherwise connection i is to host and port i mod their number, and
	// each request on it is any of those meant for there.
	//
	// In paths, headers' values and bodies {n} stands for the number of the request in the whole stream, over all agents,
	// and {{n}} for the characters {n}.
	Requests []Request `json:"requests,omitempty"`
	// UnixSocket is the path of a socket to connect to, whatever host the URLs name; one that begins with @ is abstract.
	UnixSocket string `json:"unix_socket,omitempty"`
	// CheckBody is the exact body that a good reply has, in which {n} stands for the request's number as well; nil accepts
	// any body of the announced length.
	CheckBody []byte `json:"check_body,omitempty"`
	// MayDrop says that the server that sends on its own was told to forget frames where a queue is full, so that a missing one is
	// no fault of its.
	MayDrop bool `json:"may_drop,omitempty"`
	// Seed gives the same arrivals to every server.
	Seed uint64 `json:"seed"`
	// Agent is this agent's index in [0, Agents); it takes every arrival n ≡ Agent (mod Agents).
	Agent  int `json:"agent"`
	Agents int `json:"agents"`
	// Threads is the most that may send in each agent; zero is one for every CPU that it may use.
	Threads int `json:"threads,omitempty"`
	// Processes of the agent's host that make the load together, each with Threads; zero or one is the agent by itself.
	Processes int `json:"processes,omitempty"`
	// Sources are the local addresses to connect from, used in turn; empty leaves the choice to the kernel.
	Sources []string `json:"sources,omitempty"`
	// Congestion is the congestion control of the client's sockets. Empty takes cubic where the host allows it, since a
	// paced one such as bbr arms a timer for every request; "host" keeps the host's default.
	Congestion string `json:"congestion,omitempty"`
	// TLS is how the connections of an https URL are secured; nil is the zero value.
	TLS *TLS `json:"tls,omitempty"`
	// StartWhenOpen starts the phases' clock when all connections are open, as `millrace load` does, instead of at T0
	// plus ConnectFor.
	StartWhenOpen bool `json:"start_when_open,omitempty"`
	// Spin lets the engine spin while replies are to come or a request is due within a millisecond, in its own slots where
	// it has some.
	Spin bool `json:"spin,omitempty"`
	// Slot gives this load turns with others (a duet), zero all of the time. Slots are counted from the start of the
	// phases, so those of two loads agree where their T0 do; see CheckSlot.
	Slot arrivals.Slot `json:"slot,omitzero"`
	// LogDir is where response.hlog, service.hlog and lag.hlog are written; empty writes none.
	LogDir string `json:"-"`
}

// CheckSlot says why the plan, whose scenario is resolved, can't be offered in its slot; nil if it can or has none.
func (p *Plan) CheckSlot() error {
	if p.StartWhenOpen && p.Slot != (arrivals.Slot{}) {
		return errors.New("slots with start_when_open: loads that take turns must start at one T0: want start_when_open false")
	}
	return p.Slot.Check(&p.Scenario)
}

// Request is one of several different requests of a plan. An empty Method is GET, or POST with a body.
type Request struct {
	URL     string   `json:"url"`
	Method  string   `json:"method,omitempty"`
	Headers []string `json:"headers,omitempty"`
	Body    []byte   `json:"body,omitempty"`
}

// TLS is how a load secures its connections. The zero value checks the server's certificate against the host's roots, offers
// TLS 1.2 and 1.3, and never resumes a session.
type TLS struct {
	// Insecure takes any certificate.
	Insecure bool `json:"insecure,omitempty"`
	// Authorities are PEM certificates to check the server's against, instead of the host's roots.
	Authorities []byte `json:"authorities,omitempty"`
	// ServerName is asked for (SNI) and must stand in the certificate; the URL's host by default.
	ServerName string `json:"server_name,omitempty"`
	// Min and Max are the versions to offer, 1.0 to 1.3; 1.2 and 1.3 by default.
	Min string `json:"min,omitempty"`
	Max string `json:"max,omitempty"`
	// Resume lets a new connection resume the session of an earlier one.
	Resume bool `json:"resume,omitempty"`
}

// Share is how many of n things agent or shard k of m has, when thing i belongs to i mod m.
func Share(n, k, m int) int { return (n - k + m - 1) / m }

// Engines are the ways to make load, the first being the default.
var Engines = []string{"epoll", "uring", "vegeta", "tls"}

// Engine makes the load of one plan, once.
type Engine interface {
	// Run offers the plan's load from t0 on, a CLOCK_MONOTONIC time in ns, and returns when the last phase is over. A
	// cancelled ctx ends it early: the report then covers what was measured and has Interrupted set. Beside an error
	// there is a report if something was measured, such as one whose logs could not be written.
	Run(ctx context.Context, t0 int64) (*Report, error)
	// Progress tells how it goes, and may be called by another goroutine while Run is under way.
	Progress() Progress
}

// Progress is a look at a load under way. Rates are over the last second.
type Progress struct {
	TNs         int64   `json:"t_ns"`
	Phase       string  `json:"phase"`
	OfferedRPS  float64 `json:"offered_rps"`
	AchievedRPS float64 `json:"achieved_rps"`
	P99Ns       int64   `json:"p99_ns"`
	LagP99Ns    int64   `json:"lag_p99_ns"`
	InFlight    int64   `json:"in_flight"`
	Open        int64   `json:"open"`
}
