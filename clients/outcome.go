package clients

// Outcome is how a planned request ended. Every planned request has exactly one, and requests that share a connection
// share its end. An error that is not known counts as Refused while connecting, and as Reset later.
type Outcome uint8

// The outcomes.
const (
	OK             Outcome = iota
	HTTPError              // a whole reply with a status other than 2xx
	BadPayload             // a whole reply with another body than expected
	ProtocolError          // bytes that are no reply, or a reply that nobody asked for
	Timeout                // no whole reply within Scenario.Timeout of sending, or stuck behind one such on its connection
	Refused                // the connection it needed was refused
	Reset                  // its connection was reset
	ConnectTimeout         // the connection it needed did not open in time, or its host could not be reached
	NoPort                 // no source address had a port, or this process no file, left for its connection
	EOF                    // the server closed its connection before the reply was whole
	Shed                   // dropped by a declared deadline before sending
	Unsent                 // due, but not sent before the end: no connection was free for it, or the client did not get to it
	InFlight               // sent, but not answered before the end
	outcomes               // how many there are
)

var outcomeNames = [outcomes]string{
	"ok", "http_error", "bad_payload", "protocol_error", "timeout", "refused", "reset", "connect_timeout", "no_port",
	"eof", "shed", "unsent", "in_flight",
}

// String is the outcome's name in reports.
func (o Outcome) String() string { return outcomeNames[o] }

// Tally counts outcomes, by Outcome.
type Tally [outcomes]int64

// Add adds another tally.
func (t *Tally) Add(o *Tally) {
	for i, n := range o {
		t[i] += n
	}
}

// Named returns every outcome by its name, those that never happened included.
func (t *Tally) Named() map[string]int64 {
	m := make(map[string]int64, outcomes)
	for i, n := range t {
		m[outcomeNames[i]] = n
	}
	return m
}
