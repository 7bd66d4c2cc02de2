package conform

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

// control answers on standard output until standard input ends.
func (s *toy) control(ended chan<- struct{}) {
	defer close(ended)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var q struct {
			ID      int
			Cmd     string
			Kind    string
			Seconds float64
			Path    string
		}
		if json.Unmarshal(lines.Bytes(), &q) != nil {
			continue
		}
		answer := map[string]any{"id": q.ID}
		switch q.Cmd {
		case "readings":
			s.readings(answer)
		case "gc":
			if !s.has("no-gc") {
				runtime.GC()
			}
		case "free":
			debug.FreeOSMemory()
		case "profile":
			if q.Kind == "cpu" && !s.has("profile-blocks") {
				go s.profile(q.Kind, q.Seconds, q.Path, answer)
				continue
			}
			s.profile(q.Kind, q.Seconds, q.Path, answer)
			continue
		default:
			if !s.has("accepts-any-command") {
				answer["error"] = "unknown command"
			}
		}
		say(answer)
	}
}

func say(answer map[string]any) {
	line, _ := json.Marshal(answer)
	_, _ = os.Stdout.Write(append(line, '\n'))
}

func (s *toy) profile(kind string, seconds float64, path string, answer map[string]any) {
	defer say(answer)
	f, err := os.Create(path)
	if err != nil {
		answer["error"] = err.Error()
		return
	}
	defer f.Close()
	if kind == "heap" {
		_ = pprof.WriteHeapProfile(f)
		return
	}
	_ = pprof.StartCPUProfile(f)
	<-time.After(time.Duration(seconds * float64(time.Second)))
	pprof.StopCPUProfile()
}

func (s *toy) readings(answer map[string]any) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for name, value := range map[string]int64{
		"goroutines": int64(runtime.NumGoroutine()), "heap_live_bytes": int64(m.HeapAlloc), "heap_in_use_bytes": int64(m.HeapInuse),
		"stack_bytes": int64(m.StackInuse), "alloc_bytes": int64(m.TotalAlloc), "alloc_objects": int64(m.Mallocs), "threads": 5,
		"gc_cycles": int64(m.NumGC), "gc_cpu_ns": 0, "gc_pause_ns": int64(m.PauseTotalNs), "switches_voluntary": 0,
		"switches_involuntary": 0, "accepted": s.accepted.Load(), "open": s.open.Load(), "closed": s.closed.Load(),
		"handled": s.handled.Load(), "refused": 0, "body_bytes_in": s.bytesIn.Load(), "body_bytes_out": s.bytesOut.Load(),
	} {
		answer[name] = value
	}
	s.hub.readings(answer)
	if s.has("no-stacks") {
		delete(answer, "stack_bytes")
	}
	if s.has("silent-control") {
		delete(answer, "id")
	}
}
