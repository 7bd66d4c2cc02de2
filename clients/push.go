package clients

import "github.com/millrace/millrace/internal/hist"

// PushReport is what the subscribers of a load of protocol push received. The server decides what it sends, so nothing is
// planned: what should have come is known by the numbers that the frames carry,
//
//	Expected = Σ over connections of (last − first + 1) = Received + Missing
//
// Where: first and last are the lowest and the highest number that came on a connection, over its whole life.
type PushReport struct {
	// Subscribers is how many connections were subscribed at the end, Subscriptions how many ever were, those of Slow included;
	// all else is of the other subscribers.
	Subscribers   int64 `json:"subscribers"`
	Subscriptions int64 `json:"subscriptions"`
	PushCounts
	Expected int64 `json:"expected"`
	// Before of the received frames came before the first phase.
	Before int64 `json:"before_first_phase"`
	// Slow is what the slow subscribers of the scenario received; nil without.
	Slow *PushSlow `json:"slow,omitempty"`
	// Heartbeats were sent, by all subscribers.
	Heartbeats int64 `json:"heartbeats,omitempty"`
	// Lost counts the connections that ended before the load did, by outcome: eof, reset, timeout, protocol_error. Each was
	// opened and subscribed again.
	Lost map[string]int64 `json:"lost"`
	// Away counts the numbers between the last one of a lost connection and the first one of the connection in its place:
	// nobody was there to receive them, and they are not Expected. Restarted counts those where that first number was not
	// beyond the last one.
	Away      int64 `json:"missed_while_away"`
	Restarted int64 `json:"numbers_restarted"`
	// Silent of the subscribers at the end had received nothing. BehindMax is how many numbers one of the others lacked at
	// most to the highest that any received from the same server.
	Silent    int64 `json:"silent"`
	BehindMax int64 `json:"behind_max"`
	// LastNs is when, after T0, the last frame came; zero without any.
	LastNs int64 `json:"last_ns"`
	// ReceivedRPS is frames received in the phases ÷ their length, over all subscribers.
	ReceivedRPS float64 `json:"received_rps"`
	// DeliveryNs is arrival − the sender's clock in the frame, of good frames in the measured phases. It is nil where Refused
	// says why.
	DeliveryNs *hist.Summary `json:"delivery_ns"`
	Refused    string        `json:"delivery_refused,omitempty"`
	// Future counts frames whose clock was ahead of their arrival.
	Future int64 `json:"from_the_future"`
	// Spread is that of the subscribers' own mean delivery lags; nil where DeliveryNs is, or without any.
	Spread *PushSpread `json:"subscribers_mean_ns"`

	Phases []PushPhase `json:"phases"`
	// Intervals are the frames received in each of the report's intervals.
	Intervals []int64 `json:"intervals"`
}

// PushSlow is what subscribers received that take no more than the scenario says, over the whole load. What a server does with
// them is its declared overflow's, and no check judges it.
type PushSlow struct {
	Subscribers   int64 `json:"subscribers"`
	Subscriptions int64 `json:"subscriptions"`
	PushCounts
	Expected int64            `json:"expected"`
	Lost     map[string]int64 `json:"lost"`
}

// PushCounts counts the frames that came, by their numbers.
type PushCounts struct {
	Received   int64 `json:"received"`   // each number once
	Missing    int64 `json:"missing"`    // numbers between others that did not come on the same connection
	Duplicated int64 `json:"duplicated"` // a number that had come before
	Reordered  int64 `json:"reordered"`  // of the received, those behind a higher number
	// Stale frames were 64 numbers or more behind the highest, so that nobody can say whether they had come before: they count
	// neither as received nor as duplicated.
	Stale int64 `json:"stale"`
	Bad   int64 `json:"bad_payload"` // of the received, those with another payload than expected
}

// Add adds other counts.
func (c *PushCounts) Add(o *PushCounts) {
	c.Received += o.Received
	c.Missing += o.Missing
	c.Duplicated += o.Duplicated
	c.Reordered += o.Reordered
	c.Stale += o.Stale
	c.Bad += o.Bad
}

// PushPhase is the part of a push report that came within one phase; a number is missing where a higher one came.
type PushPhase struct {
	Name    string `json:"name"`
	Measure bool   `json:"measure"`
	PushCounts
	DeliveryNs *hist.Summary `json:"delivery_ns"`
}

// PushSpread is how evenly subscribers were served: the mean delivery lags in ns of single subscribers.
type PushSpread struct {
	Best   int64 `json:"best"`
	Median int64 `json:"median"`
	Worst  int64 `json:"worst"`
}
