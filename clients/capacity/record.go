package capacity

// Schema is the version of Record's JSON, described in docs/capacity.schema.json.
const Schema = 1

// Record is everything that a search or a sweep found out.
type Record struct {
	Schema      int    `json:"schema"`
	URL         string `json:"url"`
	Engine      string `json:"engine"`
	Connections int    `json:"connections"`
	Arrival     string `json:"arrival"` // constant or poisson
	Seed        uint64 `json:"seed"`    // of the first trial; each one after it takes the next
	// Objective is empty in a sweep.
	Objective string `json:"objective,omitempty"`
	// ClosedLoopRPS is the capacity that a closed loop estimated; zero where it could not.
	ClosedLoopRPS float64 `json:"closed_loop_rps"`
	Trials        []Trial `json:"trials"`
	// Answer is of a search, Knee of a sweep; the other one is nil.
	Answer      *Answer `json:"answer"`
	Knee        *Knee   `json:"knee"`
	Interrupted bool    `json:"interrupted"`
}
