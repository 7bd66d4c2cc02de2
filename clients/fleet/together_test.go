package fleet

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/millrace/millrace/clients/fleet/meeting"
)

// Two coordinators with agents of their own start at one T0; without the partner a trial ends with what became of it.
func TestTwoCoordinatorsStartTogether(t *testing.T) {
	const multiple = 200 * time.Millisecond
	m := meeting.New(2, multiple)
	var outs [2]*Outcome
	var wg sync.WaitGroup
	for i := range outs {
		c := fleetOf(t, Options{}, "agent", protocol.RoleSUT, protocol.RoleLoad)
		wg.Go(func() {
			var err error
			if outs[i], err = c.Conduct(t.Context(), Trial{ID: "t", SUT: plan(fakePlan{}), Load: always(fakePlan{RunFor: time.Millisecond}), StartAt: m.StartAt}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if outs[0].T0 != outs[1].T0 || outs[0].T0 == 0 || outs[0].T0%int64(multiple) != 0 {
		t.Errorf("T0 %d and %d, want one multiple of %v", outs[0].T0, outs[1].T0, multiple)
	}
	c := fleetOf(t, Options{}, "agent", protocol.RoleLoad)
	alone := meeting.New(2, multiple)
	alone.Miss(errors.New("no partner"))
	out, err := c.Conduct(t.Context(), Trial{ID: "t", Load: func(json.RawMessage, int, int) (json.RawMessage, error) { return plan(fakePlan{}), nil }, StartAt: alone.StartAt})
	if err == nil || !strings.Contains(err.Error(), "no partner") || out.T0 != 0 || out.Load[0] != nil {
		t.Errorf("T0 %d, load %s, %v: want no start, since the partner is missing", out.T0, out.Load[0], err)
	}
}
