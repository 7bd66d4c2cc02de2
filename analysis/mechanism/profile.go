package mechanism

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// Profile is a profile of one server over a number of requests.
type Profile struct {
	// Data is in pprof's format. Before is the same kind of profile of the same process taken earlier, whose values are
	// taken off; nil takes off none.
	Data, Before []byte
	Requests     float64
}

// Function is one row of a difference: what a request costs in a function, or in an area of them.
type Function struct {
	Name string
	// Flat is spent in the function itself, Cum in it and what it calls: ns of CPU time, or bytes, a request.
	Flat, Cum [2]float64
	// Unclear is true where the difference is less than two standard errors of the number of samples.
	Unclear bool
}

// Difference is how two profiles differ, a request.
type Difference struct {
	// Total is of all samples, Sample what one of them stands for, Samples how many there are.
	Total, Sample [2]float64
	Samples       [2]int64
	// Areas split the total, in a fixed order. Only CPU profiles have them.
	Areas []Function
	// Flat are the functions that differ most in themselves, Frames those that differ most with all they call.
	Flat, Frames []Function
}

// How many functions a difference lists.
const (
	mostFlat   = 15
	mostFrames = 10
	mostAllocs = 8
)

// kernelMark marks the functions that do system calls.
const kernelMark = " [system call]"

// Gates are the functions in which the kernel's time is found: the runtime's assembly that enters it. Passages lie between
// those and the function that says which system call it is.
var (
	gates    = regexp.MustCompile(`^(internal/runtime/syscall.*\.Syscall6|syscall\.rawVforkSyscall|runtime\.(futex|usleep|madvise|sysMmap|sysMunmap|mmap|munmap|write1|read|open|closefd|tgkill|osyield|rtsigprocmask|sigreturn.*|sigaltstack|clone|timer_settime|sched_getaffinity))$`)
	passages = regexp.MustCompile(`^(internal/runtime/syscall.*\.Syscall6|(syscall|golang\.org/x/sys/unix)\.(Raw)?Syscall(6|NoError)?|(syscall|golang\.org/x/sys/unix)\.rawSyscall.*|syscall\.(runtime_.*|RawSyscall6))$`)
)

// areas are tested in this order; the first that matches a frame (Leaf: the innermost one) has the sample.
var areas = []struct {
	name   string
	leaf   bool
	frames *regexp.Regexp
}{
	{"garbage collection", false, regexp.MustCompile(`^runtime\.(gcBgMarkWorker|gcAssistAlloc.*|bgsweep|bgscavenge|gcStart|gcMarkTermination|gcMarkDone|GC|\(\*gcControllerState\).*)$`)},
	{"system calls (kernel time is inside them)", true, regexp.MustCompile(regexp.QuoteMeta(kernelMark) + `$`)},
	{"allocation", false, regexp.MustCompile(`^runtime\.(mallocgc|newobject|makeslice|growslice|newstack|morestack.*|malg)$`)},
	{"Go's scheduler and poller", false, regexp.MustCompile(`^runtime\.(schedule|mcall|park_m|findRunnable|goschedImpl|gopreempt_m|goexit0|ready|wakep|startm|netpoll|goready.*|gopark.*|newproc.*|exitsyscall.*|entersyscall.*|reentersyscall|mstart.*|sysmon)$`)},
	{"the rest: code of the server, its framework and libraries", false, regexp.MustCompile(``)},
}

// DiffCPU compares two CPU profiles.
func DiffCPU(profiles [2]Profile) (*Difference, error) { return diff(profiles, "cpu", mostFlat, true) }

// DiffAllocs compares what was allocated, in bytes.
func DiffAllocs(profiles [2]Profile) (*Difference, error) {
	return diff(profiles, "alloc_space", mostAllocs, false)
}

// tally is what a function has of one profile.
type tally struct {
	flat, cum float64
	flatN     int64
}

func diff(profiles [2]Profile, kind string, most int, cpu bool) (*Difference, error) {
	d := &Difference{}
	var functions, inArea [2]map[string]*tally
	for i, p := range profiles {
		if !(p.Requests >= 1) {
			return nil, errors.New("comparing profiles: no request was answered while they were taken")
		}
		parsed, index, err := p.parse(kind)
		if err != nil {
			return nil, err
		}
		functions[i], inArea[i] = map[string]*tally{}, map[string]*tally{}
		for _, s := range parsed.Sample {
			frames := framesOf(s)
			if len(frames) == 0 || s.Value[index] == 0 || slices.ContainsFunc(frames, ofProfiling) {
				continue
			}
			value := float64(s.Value[index]) / p.Requests
			n := s.Value[0]
			if !cpu { // their first value is objects, scaled up from the samples
				n = s.Value[index] / max(parsed.Period, 1)
			}
			d.Total[i] += value
			d.Samples[i] += n
			add(functions[i], frames, value, n)
			if cpu {
				add(inArea[i], []string{areaOf(frames)}, value, n)
			}
		}
		if d.Samples[i] > 0 {
			d.Sample[i] = d.Total[i] / float64(d.Samples[i])
		}
	}
	all := d.join(functions)
	d.Flat = top(all, most, func(f Function) float64 { return math.Abs(f.Flat[1] - f.Flat[0]) })
	if cpu {
		d.Frames = leading(all)
		joined := d.join(inArea)
		for _, a := range areas {
			if i := slices.IndexFunc(joined, func(f Function) bool { return f.Name == a.name }); i >= 0 {
				d.Areas = append(d.Areas, joined[i])
			}
		}
	}
	return d, nil
}

// parse reads a profile and finds the index of its values of a kind.
func (p Profile) parse(kind string) (*profile.Profile, int, error) {
	parsed, err := profile.ParseData(p.Data)
	if err != nil {
		return nil, 0, fmt.Errorf("reading a profile: %w", err)
	}
	if p.Before != nil {
		before, err := profile.ParseData(p.Before)
		if err != nil {
			return nil, 0, fmt.Errorf("reading the profile before: %w", err)
		}
		before.Scale(-1)
		if parsed, err = profile.Merge([]*profile.Profile{parsed, before}); err != nil {
			return nil, 0, fmt.Errorf("taking one profile off another: %w", err)
		}
	}
	i := slices.IndexFunc(parsed.SampleType, func(t *profile.ValueType) bool { return t.Type == kind })
	if i < 0 {
		return nil, 0, fmt.Errorf("reading a profile: it has no values of %q", kind)
	}
	return parsed, i, nil
}

// callNames are the system calls behind functions of other names.
var callNames = map[string]string{
	"epollwait": "epoll_wait", "epollpwait": "epoll_wait", "epollctl": "epoll_ctl", "usleep": "nanosleep", "osyield": "sched_yield",
	"write1": "write", "closefd": "close", "sysmmap": "mmap", "sysmunmap": "munmap",
}

// callName is the name of a system call by the function that asks for it, which every library has its own of.
func callName(function string) string {
	name := strings.ToLower(function[strings.LastIndexByte(function, '.')+1:])
	if call := callNames[name]; call != "" {
		name = call
	}
	return name + kernelMark
}

// framesOf are the names of a sample's functions, the innermost first, inlined ones too. A system call is one frame more.
func framesOf(s *profile.Sample) []string {
	var frames []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				frames = append(frames, line.Function.Name)
			}
		}
	}
	if len(frames) == 0 || !gates.MatchString(frames[0]) {
		return frames
	}
	for len(frames) > 1 && passages.MatchString(frames[0]) {
		frames = frames[1:]
	}
	return append([]string{callName(frames[0])}, frames...)
}

// ofProfiling tells whether a function is of the profiling itself.
func ofProfiling(name string) bool { return strings.HasPrefix(name, "runtime/pprof.") }

// areaOf is the area of a sample.
func areaOf(frames []string) string {
	for _, a := range areas {
		if a.leaf && a.frames.MatchString(frames[0]) || !a.leaf && slices.ContainsFunc(frames, a.frames.MatchString) {
			return a.name
		}
	}
	panic("mechanism: the last area matches all")
}

// add counts a sample for its functions, each once.
func add(to map[string]*tally, frames []string, value float64, samples int64) {
	for i, name := range frames {
		t := to[name]
		if t == nil {
			t = &tally{}
			to[name] = t
		}
		if i == 0 {
			t.flat += value
			t.flatN += samples
		}
		if !slices.Contains(frames[:i], name) {
			t.cum += value
		}
	}
}

// join puts the functions of both profiles side by side, in order of their names.
func (d *Difference) join(both [2]map[string]*tally) []Function {
	by := map[string]*Function{}
	for i, m := range both {
		for name := range m {
			if by[name] == nil {
				by[name] = &Function{Name: name}
			}
			by[name].Flat[i], by[name].Cum[i] = m[name].flat, m[name].cum
		}
	}
	var all []Function
	for name, f := range by {
		var variance float64 // of a difference of two Poisson counts, each times what a sample stands for
		for i, m := range both {
			if t := m[name]; t != nil {
				variance += float64(max(t.flatN, 0)) * d.Sample[i] * d.Sample[i]
			}
		}
		f.Unclear = math.Abs(f.Flat[1]-f.Flat[0]) < 2*math.Sqrt(variance)
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b Function) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// top are the functions with the largest size, which must not be 0.
func top(all []Function, most int, size func(Function) float64) []Function {
	list := slices.DeleteFunc(slices.Clone(all), func(f Function) bool { return size(f) == 0 })
	slices.SortStableFunc(list, func(a, b Function) int { return cmp.Compare(size(b), size(a)) })
	return list[:min(len(list), most)]
}

// leading are the functions that differ most with all they call. Of a chain of calls in which each has nearly the same as the
// one that it calls, only the first found stands; leaves are in the other list.
func leading(all []Function) []Function {
	var list []Function
	for _, f := range top(all, len(all), func(f Function) float64 { return math.Abs(f.Cum[1] - f.Cum[0]) }) {
		leaf := f.Cum == f.Flat
		if leaf || slices.ContainsFunc(list, func(g Function) bool { return alike(f.Cum[0], g.Cum[0]) && alike(f.Cum[1], g.Cum[1]) }) {
			continue
		}
		if list = append(list, f); len(list) == mostFrames {
			break
		}
	}
	return list
}

// alike tells whether two values are within 5 % of each other.
func alike(a, b float64) bool { return math.Abs(a-b) <= 0.05*max(a, b) }
