// Package validity holds the words in which the ruler and the trial say how far a measurement can be trusted.
package validity

// Verdict of a trial or of a load.
type Verdict string

// The verdicts, from best to worst.
const (
	Valid   Verdict = "VALID"
	Suspect Verdict = "SUSPECT"
	Invalid Verdict = "INVALID"
)

// State is how one check ended.
type State string

// The states of a check.
const (
	OK            State = "ok"
	Warn          State = "suspect"        // makes the whole SUSPECT
	Fail          State = "invalid"        // makes the whole INVALID
	Unknown       State = "unknown"        // could not be run: caps the verdict at SUSPECT
	NotApplicable State = "not applicable" // makes no sense here: changes nothing
)

// Check is one validity check: what was looked at, how it ended, and, unless it is OK, why and what to do about it.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Value and Limit are the signal and what it was held against, in Unit ("ns", "share", "requests", …).
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	Unit  string  `json:"unit,omitempty"`
	// Reason is one sentence with the figures in it; empty where State is OK. Where it is NotApplicable it may say why.
	Reason string `json:"reason,omitempty"`
	// Remedy is what the reader can do about it.
	Remedy string `json:"remedy,omitempty"`
}

// Judge returns the verdict that the checks support, and the reasons of all checks that are not OK, worst first.
func Judge(checks []Check) (Verdict, []string) {
	v := Valid
	var fail, warn []string
	for _, c := range checks {
		text := c.Name + ": " + c.Reason
		if c.Remedy != "" {
			text += " (" + c.Remedy + ")"
		}
		switch c.State {
		case Fail:
			v = Invalid
			fail = append(fail, text)
		case Warn, Unknown:
			if v == Valid {
				v = Suspect
			}
			warn = append(warn, text)
		}
	}
	return v, append(fail, warn...)
}
