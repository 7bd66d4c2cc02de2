package analysis

import (
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// Headline is the phase that a trial's headline metrics speak of: the overload, else the last measured phase with arrivals;
// nil where there is none. It points into t.
func Headline(t *results.Trial, s *scenarios.Scenario) *results.Phase {
	return (&measurement{trial: t, scenario: s}).loaded()
}

// Replies counts the good replies of a trial between two times in ns after T0; an interval that is cut counts by its share.
func Replies(t *results.Trial, from, to int64) float64 {
	return (&measurement{trial: t}).repliesIn(from, to)
}

// Near returns the reading closest to a time that has the value, or nil. It points into readings.
func Near(readings []results.Reading, at int64, value func(*results.Reading) *int64) *results.Reading {
	return (&measurement{readings: readings}).near(at, value)
}
