package host

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/results"
)

func TestDifferences(t *testing.T) {
	was := results.Env{Commit: "a", Sysctls: map[string]string{"x": "1", "y": "2"}, Limits: map[string]uint64{"files": 9}}
	is := results.Env{Commit: "b", Sysctls: map[string]string{"x": "1", "y": "3"}, Limits: map[string]uint64{"files": 10}}
	if got := strings.Join(Differences(was, is), "; "); got != "commit was a and is b; y was 2 and is 3; limit files was 9 and is 10" {
		t.Errorf("differences %q", got)
	}
	if got := Differences(was, was); len(got) > 0 {
		t.Errorf("differences %q of the same", got)
	}
}
