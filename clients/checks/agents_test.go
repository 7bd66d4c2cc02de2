package checks

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
)

func TestAgents(t *testing.T) {
	expect := func(c validity.Check, state validity.State, reason string) {
		t.Helper()
		if c.State != state || !strings.Contains(c.Reason, reason) {
			t.Errorf("%+v, want %s and %q", c, state, reason)
		}
	}
	all := []string{"sut-1", "load-1", "load-2"}
	expect(Agents(all, nil), validity.OK, "")
	expect(Agents(all, []string{"load-2"}), validity.Fail, "1 of 3 agents were lost: load-2, which voids the round")
	expect(StartSkew(0), validity.OK, "")
	expect(StartSkew(5_000_000), validity.OK, "")
	expect(StartSkew(5_100_000), validity.Fail, "5.1 ms apart (limit 5 ms)")
	expect(Spread([]int64{100}), validity.NotApplicable, "")
	expect(Spread([]int64{0, 0}), validity.NotApplicable, "") // no good reply: 0 ÷ 0 is no JSON
	if c := Spread([]int64{120, 90, 100}); c.State != validity.OK || c.Value != 0.3 {
		t.Errorf("%+v, want (120 − 90) ÷ 100", c)
	}
}

func TestStallsGoThereAndBack(t *testing.T) {
	for _, lengths := range [][]int64{nil, {1}, {3_000_000, 5, 400_000_000_000, 4_000_000}} {
		var s, back Stalls
		for _, ns := range lengths {
			s.Add(ns)
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, s) {
			t.Errorf("%s came back as %+v, %v", data, back, err)
		}
	}
	for _, bad := range []string{`{"n":[1],"sum_ns":[1,2]}`, `{"n":[` + strings.Repeat("1,", 60) + `1]}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &Stalls{}); err == nil {
			t.Errorf("%.30s: want an error", bad)
		}
	}
}
