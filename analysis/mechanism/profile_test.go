package mechanism

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// made is a profile of stacks, written innermost first as "a<b<c", with their sample counts. kind is "cpu", at 10 ms a
// sample, or "alloc_space", at 1000 bytes a sample.
func made(t *testing.T, kind string, stacks map[string]int64) []byte {
	t.Helper()
	p := &profile.Profile{Period: 1000, SampleType: []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: kind, Unit: "bytes"}}}
	each := int64(1000)
	if kind == "cpu" {
		p.Period, each = 1e7, 1e7
		p.SampleType = []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: kind, Unit: "nanoseconds"}}
	}
	p.Mapping = []*profile.Mapping{{ID: 1, HasFunctions: true}}
	locations := map[string]*profile.Location{}
	for stack, n := range stacks {
		s := &profile.Sample{Value: []int64{n, n * each}}
		for name := range strings.SplitSeq(stack, "<") {
			l := locations[name]
			if l == nil {
				id := uint64(len(locations) + 1)
				f := &profile.Function{ID: id, Name: name}
				l = &profile.Location{ID: id, Mapping: p.Mapping[0], Address: id, Line: []profile.Line{{Function: f}}}
				p.Function, p.Location, locations[name] = append(p.Function, f), append(p.Location, l), l
			}
			s.Location = append(s.Location, l)
		}
		p.Sample = append(p.Sample, s)
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }

const enter = "internal/runtime/syscall/linux.Syscall6"

func TestDiffCPU(t *testing.T) {
	a := made(t, "cpu", map[string]int64{
		enter + "<syscall.RawSyscall6<syscall.Syscall<syscall.write<net.(*conn).Write<main.serve": 600,
		"main.parse<main.serve":                                                         200,
		"runtime.findRunnable<runtime.schedule<runtime.mcall":                           100,
		"runtime.scanobject<runtime.gcDrain<runtime.gcBgMarkWorker<runtime.systemstack": 50,
		"runtime.nextFreeFast<runtime.mallocgc<runtime.newobject<main.parse<main.serve": 50,
	})
	b := made(t, "cpu", map[string]int64{
		enter + "<syscall.RawSyscall<golang.org/x/sys/unix.write<loop.run": 295,
		"runtime.futex<runtime.futexsleep<runtime.mcall":                   10,
		"main.parse<loop.run": 210,
	})
	d, err := DiffCPU([2]Profile{{Data: a, Requests: 1e6}, {Data: b, Requests: 500e3}})
	if err != nil {
		t.Fatal(err)
	}
	if !near(d.Total[0], 10_000) || !near(d.Total[1], 10_300) || d.Samples != [2]int64{1000, 515} || !near(d.Sample[0], 10) || !near(d.Sample[1], 20) {
		t.Errorf("total %v ns, %v samples of %v ns", d.Total, d.Samples, d.Sample)
	}
	check := func(list []Function, name string, flatA, flatB float64, unclear bool) {
		t.Helper()
		i := slices.IndexFunc(list, func(f Function) bool { return f.Name == name })
		if i < 0 {
			t.Errorf("%s is not listed: %v", name, list)
		} else if f := list[i]; !near(f.Flat[0], flatA) || !near(f.Flat[1], flatB) || f.Unclear != unclear {
			t.Errorf("%+v, want %g and %g, unclear %t", f, flatA, flatB, unclear)
		}
	}
	check(d.Areas, "system calls (kernel time is inside them)", 6000, 6100, true)
	check(d.Areas, "garbage collection", 500, 0, false)
	check(d.Areas, "allocation", 500, 0, false)
	check(d.Areas, "Go's scheduler and poller", 1000, 0, false)
	check(d.Areas, "the rest: code of the server, its framework and libraries", 2000, 4200, false)
	check(d.Flat, "main.parse", 2000, 4200, false)
	check(d.Flat, "write [system call]", 6000, 5900, true)
	check(d.Flat, "futex [system call]", 0, 200, false)
	if d.Flat[0].Name != "main.parse" || slices.ContainsFunc(d.Flat, func(f Function) bool { return strings.Contains(f.Name, "Syscall") }) {
		t.Errorf("the list is %v", d.Flat)
	}
	// gcDrain, gcBgMarkWorker and systemstack are one chain, and main.serve contains net.(*conn).Write.
	i := slices.IndexFunc(d.Frames, func(f Function) bool { return f.Name == "main.serve" })
	if i < 0 || !near(d.Frames[i].Cum[0], 8500) || d.Frames[i].Cum[1] != 0 {
		t.Errorf("frames %v", d.Frames)
	}
	var chain []string
	for _, f := range d.Frames {
		if near(f.Cum[0], 500) && f.Cum[1] == 0 {
			chain = append(chain, f.Name)
		}
	}
	if len(chain) != 1 {
		t.Errorf("of the chains that cost 500 ns alike %v stand, want one", chain)
	}
}

// A function that calls itself counts once, and a list is no longer than its limit.
func TestDiffCPUBounds(t *testing.T) {
	stacks := map[string]int64{"f<f<f<main.main": 10}
	for i := range 40 {
		stacks[fmt.Sprintf("leaf%02d<caller%02d", i, i)] = int64(100 + 50*i)
	}
	d, err := DiffCPU([2]Profile{{Data: made(t, "cpu", stacks), Requests: 1e3}, {Data: made(t, "cpu", map[string]int64{"g": 1}), Requests: 1e3}})
	if err != nil || len(d.Flat) != mostFlat || len(d.Frames) != mostFrames || d.Flat[0].Name != "leaf39" {
		t.Fatalf("%+v, %v", d, err)
	}
	d, err = DiffCPU([2]Profile{{Data: made(t, "cpu", map[string]int64{"f<f<f<main.main": 10}), Requests: 1e3}, {Data: made(t, "cpu", nil), Requests: 1e3}})
	if err != nil || len(d.Flat) != 1 || !near(d.Flat[0].Cum[0], 1e5) {
		t.Errorf("%+v, %v", d, err)
	}
}

// What was allocated before is taken off.
func TestDiffAllocs(t *testing.T) {
	before := made(t, "alloc_space", map[string]int64{"accept<main.main": 900, "buffer<main.serve": 100})
	after := made(t, "alloc_space", map[string]int64{"accept<main.main": 900, "buffer<main.serve": 600, "flate<runtime/pprof.write": 999})
	none := made(t, "alloc_space", nil)
	d, err := DiffAllocs([2]Profile{{Data: after, Before: before, Requests: 1000}, {Data: none, Before: none, Requests: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Flat) != 1 || d.Flat[0].Name != "buffer" || !near(d.Flat[0].Flat[0], 500) || !near(d.Total[0], 500) || d.Samples[0] != 500 || d.Flat[0].Unclear {
		t.Errorf("%+v", d)
	}
}

func TestDiffRefuses(t *testing.T) {
	good := made(t, "cpu", map[string]int64{"f": 1})
	check := func(why string, p Profile, want string) {
		t.Helper()
		if _, err := DiffCPU([2]Profile{{Data: good, Requests: 10}, p}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", why, err, want)
		}
	}
	check("no requests", Profile{Data: good}, "no request")
	check("NaN requests", Profile{Data: good, Requests: math.NaN()}, "no request")
	check("cut off", Profile{Data: good[:len(good)/2], Requests: 1}, "reading a profile")
	check("another kind", Profile{Data: made(t, "alloc_space", nil), Requests: 1}, `no values of "cpu"`)
}
