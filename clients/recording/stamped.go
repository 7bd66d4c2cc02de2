package recording

import (
	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/checks"
	"github.com/millrace/millrace/internal/hist"
)

// Stamped are the parts of the response times of good replies that the kernel's time stamps tell of, as clients.Split names
// them. It must come from NewStamped or from JSON.
type Stamped struct {
	Client     *hist.Histogram `json:"client"`
	Sending    *hist.Histogram `json:"sending"`
	WireServer *hist.Histogram `json:"wire_server"`
	Receiving  *hist.Histogram `json:"receiving"`
	Response   *hist.Histogram `json:"response"`
}

// NewStamped returns empty histograms.
func NewStamped() *Stamped {
	return &Stamped{Client: hist.New(), Sending: hist.New(), WireServer: hist.New(), Receiving: hist.New(), Response: hist.New()}
}

// Merge adds what o holds.
func (s *Stamped) Merge(o *Stamped) {
	s.Client.Merge(o.Client)
	s.Sending.Merge(o.Sending)
	s.WireServer.Merge(o.WireServer)
	s.Receiving.Merge(o.Receiving)
	s.Response.Merge(o.Response)
}

// split is what stands in a report, and what the check of the client's share looks at; nil without any. s may be nil.
func (s *Stamped) split() (*clients.Split, checks.Share) {
	if s == nil || s.Client.Count() == 0 {
		return nil, checks.Share{}
	}
	n := s.Client.Count()
	return &clients.Split{
			Samples: n, ClientNs: s.Client.Summary(0), SendingNs: s.Sending.Summary(0), WireServerNs: s.WireServer.Summary(0),
			ReceivingNs: s.Receiving.Summary(0), ResponseNs: s.Response.Summary(0),
		}, checks.Share{
			Samples: n, ClientP99Ns: s.Client.Quantile(0.99), WireServerP99Ns: s.WireServer.Quantile(0.99), ResponseP99Ns: s.Response.Quantile(0.99),
		}
}
