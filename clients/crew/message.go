// Package crew makes one load with several processes of this host, where one may not open enough files for its connections.
//
// The members of a crew are child processes. Between them and the one that started them there is no network, only lines of JSON
// on their standard input and output: what a process holds beside its connections counts once for each member, and the
// program of a fleet's agents starts with three times as much (docs/ARCHITECTURE.md). A member's life:
//
//	captain → member   the order: its plan and a directory for its logs
//	member → captain   prepared
//	captain → member   connect, with the time from which on connections may be opened
//	member → captain   open, with how many: all, or as many as there is hope for
//	captain → member   start, with T0, the same for all, when all are open; nothing where T0 was fixed before, as in a run
//	member → captain   its recording.Part, or an error; and it ends
//
// The end of its standard input ends a member early: what it measured until then is still told. A member can't outlive its
// captain, since the kernel kills it then.
package crew

import (
	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/recording"
)

// order is what a captain says; one field is set at a time, beside Logs.
type order struct {
	Plan *clients.Plan `json:"plan,omitempty"`
	Logs string        `json:"logs,omitempty"` // beside Plan
	// ConnectNs and StartNs are CLOCK_MONOTONIC.
	ConnectNs int64 `json:"connect_ns,omitempty"`
	StartNs   int64 `json:"start_ns,omitempty"`
	// Fixed, beside ConnectNs, says that this is T0: the phases start then, whatever is open.
	Fixed bool `json:"fixed,omitempty"`
}

// word is what a member says; one field is set at a time.
type word struct {
	Prepared bool            `json:"prepared,omitempty"`
	Open     *int64          `json:"open,omitempty"`
	Part     *recording.Part `json:"part,omitempty"`
	Error    string          `json:"error,omitempty"`
}
