package results

// Swept is the path of the field that all steps of the run's sweep set and whose numbers are their values, such as
// "connections.count"; empty where there is no such field, or no sweep.
func (r *Run) Swept() string {
	if len(r.Scenario.Sweep) == 0 || !r.Numeric() {
		return ""
	}
	for path := range r.Scenario.Sweep[0].Set {
		common := true
		for _, s := range r.Scenario.Sweep {
			_, sets := s.Set[path]
			common = common && sets && len(s.Set) == 1
		}
		if common {
			return path
		}
	}
	return ""
}

// Numeric reports whether the run is a sweep over numbers.
func (r *Run) Numeric() bool { return len(r.Steps) > 0 && r.Steps[0].Value != nil }
