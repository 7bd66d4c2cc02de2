package main

import (
	"context"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/clients/selfcheck"
)

// verified is an engine whose reports also say how its selfcheck came out on this host.
type verified struct {
	clients.Engine
	name string
}

var _ clients.Engine = verified{}

// Run makes the load, and looks the selfcheck's verdict up when it is over.
func (v verified) Run(ctx context.Context, t0 int64) (*clients.Report, error) {
	r, err := v.Engine.Run(ctx, t0)
	if r != nil {
		r.Judge(checks.KnownAnswer(lastSelfcheck(v.name)))
	}
	return r, err
}

// lastSelfcheck is what is kept of the last `millrace selfcheck` of an engine.
func lastSelfcheck(engine string) checks.Verified {
	v, err := selfcheck.Last(engine)
	if err != nil {
		return checks.Verified{Never: err.Error()}
	}
	return checks.Verified{At: v.At, Passed: len(v.Passed), Failed: v.Failed}
}
