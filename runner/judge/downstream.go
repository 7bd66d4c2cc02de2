package judge

import (
	"fmt"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/validity"
	"github.com/millrace/millrace/results"
)

// maxLateShare is how many of the downstream's replies may go out late: as many as a p99 does not feel.
const maxLateShare = 0.01

// checkDownstream are the checks of a trial whose work calls bin/downstream; none of one that calls none. Where it could not be
// asked, d is nil and all of them are unknown.
func checkDownstream(d *results.Downstream, load *clients.Report, calls bool) []validity.Check {
	switch {
	case !calls:
		return nil
	case d == nil:
		list := []validity.Check{{Name: nameCalls}, {Name: nameWork}, {Name: nameLate}, {Name: nameCrowd}}
		for i := range list {
			list[i] = unread(list[i], "the downstream's counts at the end", nil)
		}
		return list
	}
	return []validity.Check{checkCalls(d), checkWork(d, load), checkLate(d), checkCrowd(d)}
}

// The names of its checks.
const (
	nameCalls = "two-sided calls"
	nameWork  = "calls a request"
	nameLate  = "downstream timing"
	nameCrowd = "downstream connections"
)

// checkCalls: what the server called has reached the downstream, no more and no less. Calls under way when both sides were
// read may be counted on one of them; a reset may make net/http ask once more.
func checkCalls(d *results.Downstream) validity.Check {
	c := validity.Check{Name: nameCalls, State: validity.OK, Unit: "requests"}
	if d.Calls == nil || d.CallsAnswered == nil {
		return unread(c, "the server's count of its calls", nil)
	}
	c.Value = float64(d.Received - *d.Calls)
	if d.Received < *d.CallsAnswered || d.ReceivedFrom > *d.Calls+d.Resets {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("the server began %d calls and got %d answers, the downstream received %d requests", *d.Calls, *d.CallsAnswered, d.Received)
		c.Remedy = "one side miscounts, or something else called the downstream: keep others away from its port"
	}
	return c
}

// checkWork: every reply to a request with work took a call, and what was called beyond them the client gave up. Where only a
// share asks for the work, the client knows of good replies alone how many did.
func checkWork(d *results.Downstream, load *clients.Report) validity.Check {
	c := validity.Check{Name: nameWork, State: validity.OK, Unit: "requests"}
	if d.Calls == nil {
		return unread(c, "the server's count of its calls", nil)
	}
	o := load.Outcomes
	least, most := o["ok"]+o["http_error"]+o["bad_payload"], o["ok"]+o["http_error"]+o["bad_payload"]+givenUp(load)
	divided := false
	var ok, planned int64
	for _, p := range load.Phases {
		if p.Work != nil {
			divided, ok, planned = true, ok+p.Work.OK, planned+p.Work.Planned
		}
	}
	if divided {
		least, most = ok, planned
	}
	c.Value, c.Limit = float64(*d.Calls-least), float64(most-least)
	if *d.Calls < least || *d.Calls > most {
		c.State = validity.Fail
		c.Reason = fmt.Sprintf("the server began %d calls: want %d to %d, the requests that asked for the work", *d.Calls, least, most)
		c.Remedy = "the server skips the work, or does it twice: run `millrace conform`"
	}
	return c
}

func checkLate(d *results.Downstream) validity.Check {
	c := validity.Check{Name: nameLate, State: validity.OK, Unit: "share", Limit: maxLateShare}
	if d.Answered > 0 {
		c.Value = float64(d.Late) / float64(d.Answered)
	}
	if c.Value > maxLateShare {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("%.1f %% of the downstream's replies went out, or their requests were read, over 1 ms late (limit %.0f %%)", c.Value*100, maxLateShare*100)
		c.Remedy = "lower the rate, or give the client's side another CPU: the downstream runs there"
	}
	return c
}

func checkCrowd(d *results.Downstream) validity.Check {
	c := validity.Check{Name: nameCrowd, State: validity.OK, Unit: "calls"}
	if d.Waited == nil {
		return unread(c, "the server's count of its calls", nil)
	}
	if c.Value = float64(*d.Waited); *d.Waited > 0 {
		c.State = validity.Warn
		c.Reason = fmt.Sprintf("%d calls waited for a connection to the downstream: as many were under way as a server may have", *d.Waited)
		c.Remedy = "lower the rate, work.share or the downstream's latency, or the connections' number: else the limit of calls decides, and not the model"
	}
	return c
}
