package mechanism

import (
	"cmp"
	"slices"

	"github.com/millrace/millrace/analysis"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/results/observed"
)

// OwnTrial is the source of rows that no measured trial holds.
const OwnTrial = "a trial of its own"

// kinds join system calls that do the same under several names.
var kinds = map[string]string{
	"epoll_pwait": "epoll_wait", "epoll_pwait2": "epoll_wait", "accept4": "accept",
	"syscr": "read", "syscw": "write", // of /proc/PID/io
}

// The most kinds of system calls that get a row, and how many calls a request one of both variants must make for it.
const (
	mostKinds = 10
	leastCall = 0.005
)

// Calls are the system calls of one trial made to count them, over its span, a request.
type Calls struct {
	// ByKind has no "other" and no total where Partial says why only reads and writes are known.
	ByKind  map[string]float64
	Total   Value
	Partial string
	// WireBytes and Segments are what was sent over the network namespace, both ways.
	WireBytes, Segments Value
}

// CountCalls takes the system calls of a trial from what was observed. A nil o, or one without counts in the span, gives
// figures that are missing because of why.
func CountCalls(t *results.Trial, span *observed.Span, o *observed.Record, why string) Calls {
	absent := func(reason string) Calls {
		return Calls{Total: Value{Missing: reason}, WireBytes: Value{Missing: reason}, Segments: Value{Missing: reason}}
	}
	if o == nil || span == nil || t == nil {
		return absent(why)
	}
	a, b := nearest(o.Counts, span.FromNs), nearest(o.Counts, span.ToNs)
	if a == nil || 2*(b.TNs-a.TNs) < span.ToNs-span.FromNs {
		return absent("the counters were not read in the phase")
	}
	replies := analysis.Replies(t, a.TNs, b.TNs)
	if replies < 1 {
		return absent("no good reply in the phase")
	}
	c := Calls{ByKind: map[string]float64{}, Partial: o.Partial}
	var total int64
	for name, n := range b.Syscalls {
		n -= a.Syscalls[name]
		total += n
		if kind := kinds[name]; kind != "" {
			name = kind
		}
		c.ByKind[name] += float64(n) / replies
	}
	c.Total = single(float64(total) / replies)
	if o.Partial != "" {
		c.Total = Value{Missing: o.Partial}
	}
	growth := func(from, to *int64) Value {
		if from == nil || to == nil {
			return Value{Missing: "unknown: /proc/net could not be read"}
		}
		return single(float64(*to-*from) / replies)
	}
	c.WireBytes, c.Segments = growth(a.WireBytes, b.WireBytes), growth(a.Segments, b.Segments)
	return c
}

func nearest(counts []observed.Counts, at int64) *observed.Counts {
	if len(counts) == 0 {
		return nil
	}
	distance := func(c observed.Counts) int64 { return max(c.TNs-at, at-c.TNs) }
	best := slices.MinFunc(counts, func(a, b observed.Counts) int { return cmp.Compare(distance(a), distance(b)) })
	return &best
}

// CallRows are the rows of both variants' system calls: all of them, the kinds of which there are most, the rest, requests
// per epoll_wait, and what went over the wire.
func CallRows(calls [2]Calls) []Row {
	row := func(key, title string, unit Unit, a, b Value) Row {
		return Row{Key: key, Title: title, Unit: unit, Values: [2]Value{a, b}, Ratio: ratioOf(a, b), Source: OwnTrial}
	}
	rows := []Row{row("syscalls", "system calls", Number, calls[0].Total, calls[1].Total)}
	of := func(name string) [2]Value {
		var v [2]Value
		for i, c := range calls {
			n, ok := c.ByKind[name]
			switch {
			case c.ByKind == nil:
				v[i] = Value{Missing: c.Total.Missing}
			case !ok && c.Partial != "":
				v[i] = Value{Missing: c.Partial}
			default:
				v[i] = single(n)
			}
		}
		return v
	}
	named := topKinds(calls)
	var rest [2]float64
	for i, c := range calls {
		for name, n := range c.ByKind {
			if !slices.Contains(named, name) {
				rest[i] += n
			}
		}
	}
	for _, name := range named {
		v := of(name)
		rows = append(rows, row("syscall-"+name, "  "+name, Number, v[0], v[1]))
	}
	if calls[0].Total.N > 0 && calls[1].Total.N > 0 {
		rows = append(rows, row("syscall-other", "  others", Number, single(rest[0]), single(rest[1])))
	}
	waits := of("epoll_wait")
	for i, v := range waits {
		if v.N > 0 && v.Median > 0 {
			waits[i] = single(1 / v.Median)
		} else if v.N > 0 {
			waits[i] = Value{Missing: "it made no epoll_wait"}
		}
	}
	return append(rows, row("requests-per-epoll-wait", "requests per epoll_wait", Number, waits[0], waits[1]),
		row("wire-bytes", "bytes on the wire, both ways", Bytes, calls[0].WireBytes, calls[1].WireBytes),
		row("segments", "TCP segments, both ways", Number, calls[0].Segments, calls[1].Segments))
}

// topKinds are the kinds that get rows, most calls first.
func topKinds(calls [2]Calls) []string {
	most := map[string]float64{}
	for _, c := range calls {
		for name, n := range c.ByKind {
			if name != "other" && n >= leastCall {
				most[name] = max(most[name], n)
			}
		}
	}
	var names []string
	for name := range most {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(most[b], most[a]), cmp.Compare(a, b))
	})
	return names[:min(len(names), mostKinds)]
}
