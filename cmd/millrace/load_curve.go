package main

import (
	"strings"

	"github.com/millrace/millrace/clients/capacity"
	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots"
)

// drawSweep draws the points of a sweep that was begun into a file, if one was asked for; without any point there is nothing to
// draw.
func drawSweep(rec *capacity.Record, to *output) error {
	if to == nil {
		return nil
	}
	d := plots.LoadLatency{
		Title: "load and latency of " + rec.URL, CapacityRPS: rec.ClosedLoopRPS,
		Source: strings.Join([]string{"millrace " + strings.TrimSpace(version+" "+commit), "engine " + rec.Engine,
			quantity.Count(rec.Connections, "connection"), rec.Arrival + " arrivals"}, " · "),
	}
	for i := range rec.Trials {
		t := &rec.Trials[i]
		if t.OfferedRPS == nil {
			continue
		}
		r := &t.ResponseNs
		d.Points = append(d.Points, plots.LoadPoint{OfferedRPS: t.PlannedRPS(), AchievedRPS: t.AchievedRPS, P50: r.P50, P99: r.P99, P999: r.P999, Invalid: t.Limit})
	}
	if k := rec.Knee; k != nil && k.RPS != nil {
		d.KneeRPS, d.KneeFrom, d.KneeTo = *k.RPS, k.FromRPS, k.ToRPS
	} else if k != nil {
		d.NoKnee = k.Why
	}
	if len(d.Points) == 0 {
		return nil
	}
	return to.replace(func(path string) error { return plots.DrawLoadLatency(d, path) })
}
