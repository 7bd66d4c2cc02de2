package results

import "github.com/millrace/millrace/internal/hist"

// Push is what the subscribers of a trial received that the server sent on its own. Expected = Received + Missing, by the frames'
// numbers on each connection. All but Slow and Heartbeats is of the subscribers that are not slow.
type Push struct {
	// Subscribers at the end, and Subscriptions ever, those of Slow included.
	Subscribers   int64 `json:"subscribers"`
	Subscriptions int64 `json:"subscriptions"`
	PushCounts
	Expected int64 `json:"expected"`
	// Lost counts the connections that ended before the load did, by outcome; Away the frames that went by meanwhile.
	Lost map[string]int64 `json:"lost,omitempty"`
	Away int64            `json:"missed_while_away"`
	// Delivery is from the sender's clock in a frame to its arrival, in the measured phases; nil where Refused says why.
	Delivery   *hist.Summary `json:"delivery_ns"`
	Refused    string        `json:"delivery_refused,omitempty"`
	Heartbeats int64         `json:"heartbeats,omitempty"`
	Slow       *PushSlow     `json:"slow,omitempty"`
}

// PushSlow is what the slow subscribers received, over the whole load.
type PushSlow struct {
	Subscribers   int64 `json:"subscribers"`
	Subscriptions int64 `json:"subscriptions"`
	PushCounts
	Expected int64            `json:"expected"`
	Lost     map[string]int64 `json:"lost,omitempty"`
}

// PushCounts counts the frames that came, by their numbers.
type PushCounts struct {
	Received   int64 `json:"received"` // each number once
	Missing    int64 `json:"missing"`  // numbers between others that did not come on the same connection
	Duplicated int64 `json:"duplicated,omitempty"`
	Reordered  int64 `json:"reordered,omitempty"`
	Stale      int64 `json:"stale,omitempty"`
	Bad        int64 `json:"bad_payload,omitempty"`
}

// PushPhase is what came within one phase.
type PushPhase struct {
	PushCounts
	Delivery *hist.Summary `json:"delivery_ns"`
}
