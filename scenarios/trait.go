package scenarios

// Trait is something that a scenario has and on which it depends what can be measured of it.
type Trait string

// The traits. A scenario may have several, or none.
const (
	// Overload is a measured phase that offers more than anybody can send.
	Overload Trait = "overload"
	// Disturbance is an Overload, or a window in which the downstream behaves otherwise: something to recover from.
	Disturbance Trait = "disturbance"
	// Ladder is a measured phase that sets how many connections are open, so that memory has a slope over them.
	Ladder Trait = "ladder"
	// Idling are connections most of which take no requests in a measured phase.
	Idling Trait = "idling"
	// Churn are connections that come anew while requests are measured.
	Churn Trait = "churn"
	// Holding is a load without arrivals: connections are held, and what they send comes from heartbeats or from registering anew.
	Holding Trait = "holding"
	// Pushing is a server that sends on its own; see Pushes.
	Pushing Trait = "pushing"
	// Divided are requests of which some ask for the server's work and others, the bystanders, don't.
	Divided Trait = "divided"
)

// Traits lists all of them.
var Traits = []Trait{Overload, Disturbance, Ladder, Idling, Churn, Holding, Pushing, Divided}

// Has reports whether the scenario, resolved or not, has the trait.
func (s *Scenario) Has(t Trait) bool {
	switch t {
	case Overload:
		return s.anyPhase(func(p *Phase) bool { return p.Measure && p.Load == "overload" })
	case Disturbance:
		return s.Has(Overload) || len(s.Downstream.Windows) > 0
	case Ladder:
		return s.anyPhase(func(p *Phase) bool { return p.Measure && (p.Open > 0 || p.Each == "step") })
	case Idling:
		return s.anyPhase(func(p *Phase) bool { return p.Measure && p.Active > 0 && p.Active < 100 })
	case Churn:
		return s.Connections.Requests > 0 || s.Connections.Renew > 0
	case Holding:
		return !s.Pushes() && s.anyPhase(func(p *Phase) bool { return p.Measure }) &&
			!s.anyPhase(func(p *Phase) bool { return p.Measure && !p.Arrivals.none() })
	case Pushing:
		return s.Pushes()
	case Divided:
		return s.Work.Share > 0 && s.Work.Share < 100
	}
	return false
}

func (s *Scenario) anyPhase(is func(*Phase) bool) bool {
	for i := range s.Phases {
		if is(&s.Phases[i]) {
			return true
		}
	}
	return false
}
