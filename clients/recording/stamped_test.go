package recording

import (
	"testing"

	"github.com/millrace/millrace/clients/checks"
)

// The check of the client's share sees the p99 of every part that it weighs.
func TestSplitIsJudged(t *testing.T) {
	s := NewStamped()
	if split, share := s.split(); split != nil || share != (checks.Share{}) {
		t.Errorf("of nothing %+v and %+v", split, share)
	}
	s.Client.Record(1000)
	s.WireServer.Record(2000)
	s.Response.Record(3000)
	split, share := s.split()
	if near := func(got, want int64) bool { return want <= got && got <= want+want/500 }; split == nil || share.Samples != 1 ||
		!near(share.ClientP99Ns, 1000) || !near(share.WireServerP99Ns, 2000) || !near(share.ResponseP99Ns, 3000) {
		t.Errorf("%+v and %+v, want 1, 2 and 3 µs of one sample", split, share)
	}
}
