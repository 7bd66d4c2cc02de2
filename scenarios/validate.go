package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxConnections is the most that a scenario may ask for.
const MaxConnections = 10_000_000

// Limits on what a scenario may ask for, so that a slip of the pen is an error and not a day of load.
const (
	maxPipeline = 1024
	maxPayload  = 1<<20 - 8 // a frame's body beside its id; the codecs' limit
	maxPhases   = 64
	maxPhase    = 24 * time.Hour
	maxPlanned  = 2_000_000_000 // arrivals in a phase
	minTrickle  = Duration(10 * time.Millisecond)
	maxTrickle  = Duration(24 * time.Hour)
	maxRenew    = 50 // percent a second: a connection that lives less than 2 s is one for connections.requests
)

// Validate checks every field and names the first that is wrong, with its path, value and the offered range.
func (s *Scenario) Validate() error {
	c := &s.Connections
	switch {
	case s.Name == "" || strings.ContainsAny(s.Name, "/ \t\n"):
		return fmt.Errorf("name %q: want a word without blanks and slashes", s.Name)
	case strings.TrimSpace(s.Why) == "":
		return fmt.Errorf("why is empty: say what the scenario shows, what it can't, and its ceiling by arithmetic")
	case s.Payload < 1 || s.Payload > maxPayload:
		return fmt.Errorf("payload %d: want 1 to %d bytes", s.Payload, maxPayload)
	case c.Count < 1 || c.Count > MaxConnections:
		return fmt.Errorf("connections.count %d: want 1 to %d", c.Count, MaxConnections)
	case c.Pipeline < 1 || c.Pipeline > maxPipeline:
		return fmt.Errorf("connections.pipeline %d: want 1 to %d", c.Pipeline, maxPipeline)
	case c.Requests < 0:
		return fmt.Errorf("connections.requests %d: want 0 (kept to the end) or more", c.Requests)
	case s.Timeout < Duration(time.Millisecond) || s.Timeout > Duration(10*time.Minute):
		return fmt.Errorf("timeout %v: want 1ms to 10m", s.Timeout)
	case len(s.Phases) == 0 || len(s.Phases) > maxPhases:
		return fmt.Errorf("phases: %d of them, want 1 to %d", len(s.Phases), maxPhases)
	}
	if err := oneOf("protocol", s.Protocol, Protocols); err != nil {
		return err
	}
	if err := s.validateConnections(); err != nil {
		return err
	}
	for _, check := range []func() error{
		s.Work.validate, s.validateRequest, s.validatePhases, s.validateDownstream, s.validatePush, s.Replicas.validate, s.validateSweep, s.validateExpect,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scenario) validateConnections() error {
	c := &s.Connections
	if err := oneOf("connections.close", c.Close, ClosePolicies); err != nil {
		return err
	}
	switch {
	case c.Close == "none" && c.Requests > 0:
		return fmt.Errorf("connections.close none with connections.requests %d: say who closes: %s", c.Requests, strings.Join(ClosePolicies[1:], ", "))
	case c.Close != "none" && c.Requests == 0:
		return fmt.Errorf("connections.close %s with connections.requests 0: say after how many requests a connection is closed, such as 1", c.Close)
	case c.Close == "fin-server" && s.Protocol != "http1":
		return fmt.Errorf("connections.close fin-server with protocol %s: a server can be asked to close in http1 only; want fin-client or rst", s.Protocol)
	case c.Trickle != 0 && (c.Trickle < minTrickle || c.Trickle > maxTrickle):
		return fmt.Errorf("connections.trickle %v: want 0 (never), or %v to %v between two requests of a connection", c.Trickle, minTrickle, maxTrickle)
	case c.Trickle > 0 && c.Requests > 0:
		return fmt.Errorf("connections.trickle %v with connections.requests %d: only connections that are kept can be idle: want 0 for one of them", c.Trickle, c.Requests)
	case !(c.Renew >= 0 && c.Renew <= maxRenew):
		return fmt.Errorf("connections.renew %v: want 0%% to %v of the open connections a second", c.Renew, Percent(maxRenew))
	case c.Renew > 0 && c.Requests > 0:
		return fmt.Errorf("connections.renew %v with connections.requests %d: only connections that are kept can be renewed: want 0 for one of them", c.Renew, c.Requests)
	case s.Pushes() && (c.Requests > 0 || c.Pipeline > 1 || c.Trickle > 0):
		return fmt.Errorf("connections of subscribers: requests %d, pipeline %d, trickle %v: a subscriber sends no requests: want none of these", c.Requests, c.Pipeline, c.Trickle)
	case s.Pushes() && s.Work.Kind != "none":
		return fmt.Errorf("work.kind %s where the server sends on its own: nobody asks for it: want none", s.Work.Kind)
	case c.Rate > 0 && c.Requests > 0:
		return fmt.Errorf("connections.rate %v with connections.requests %d: has no effect, since the arrivals open the connections: want 0, and the rate in the phases' arrivals", float64(c.Rate), c.Requests)
	}
	for i, n := range c.Steps {
		if n < 1 || n > MaxConnections || i > 0 && n <= c.Steps[i-1] {
			return fmt.Errorf("connections.steps[%d] %d: want increasing counts from 1 to %d", i, n, MaxConnections)
		}
	}
	if n := len(c.Steps); n > 0 && c.Count != c.Steps[n-1] {
		return fmt.Errorf("connections.count %d with connections.steps up to %d: the last step is how many there are: set connections.steps, such as [%d, %d], and leave count alone or set it alike",
			c.Count, c.Steps[n-1], max(c.Count/2, 1), c.Count)
	}
	return nil
}

func (s *Scenario) validatePhases() error {
	seen := map[string]bool{"connect": true, "end": true}
	open := 0 // connections that the phases before have opened
	for i, p := range s.Phases {
		path := "phases." + p.Name
		switch {
		case p.Name == "" || strings.ContainsAny(p.Name, "./ \t\n"):
			return fmt.Errorf("phases[%d].name %q: want a word without blanks, dots and slashes", i, p.Name)
		case seen[p.Name]:
			return fmt.Errorf("%s: name is taken (connect and end are the trial's own)", path)
		case p.For < Duration(10*time.Millisecond) || time.Duration(p.For) > maxPhase:
			return fmt.Errorf("%s.for %v: want 10ms to %v", path, p.For, maxPhase)
		case p.Each != "" && p.Each != "step":
			return fmt.Errorf("%s.each %q: want step, or nothing", path, p.Each)
		case p.Each == "step" && len(s.Connections.Steps) == 0:
			return fmt.Errorf("%s.each step: connections.steps is empty", path)
		case p.Open < 0 || p.Open > s.Connections.Count:
			return fmt.Errorf("%s.open %d: want 0 to connections.count, %d", path, p.Open, s.Connections.Count)
		case !(p.Active >= 0 && p.Active <= 100):
			return fmt.Errorf("%s.active %v: want 0%% to 100%%", path, p.Active)
		case s.Pushes() && (!p.Arrivals.none() || p.Open > 0 || p.Each != "" || p.Active != 100):
			return fmt.Errorf("%s where the server sends on its own: all connections receive: want no arrivals, open, each and active", path)
		case p.Active != 100 && s.Connections.Requests > 0:
			return fmt.Errorf("%s.active %v: want 100%% where connections.requests is set, since each request may open a connection", path, p.Active)
		case p.Open > 0 && s.Connections.Requests > 0:
			return fmt.Errorf("%s.open: connections are opened by requests where connections.requests is set", path)
		}
		first, last := p.opens(s.Connections.Steps)
		if first > 0 && first < open {
			return fmt.Errorf("%s.open %d: want at least the %d of a phase before, since connections stay open", path, first, open)
		}
		open = max(open, last)
		seen[p.Name] = true
		if err := oneOf(path+".load", p.Load, LoadKinds); err != nil {
			return err
		}
		if err := p.Arrivals.validate(path+".arrivals", time.Duration(p.For)); err != nil {
			return err
		}
	}
	return nil
}

// opens are the first and the last number of connections that a phase sets, which differ where it is repeated for steps.
// Zero leaves the number as it is.
func (p *Phase) opens(steps []int) (first, last int) {
	if p.Each == "step" {
		return steps[0], steps[len(steps)-1]
	}
	return p.Open, p.Open
}

func oneOf(path, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s %q: want one of %s", path, value, strings.Join(known, ", "))
}
