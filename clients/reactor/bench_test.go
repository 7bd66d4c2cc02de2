package reactor

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/scenarios"
)

// frugal is a server that answers http1 requests without allocating, so that what is allocated is the client's.
func frugal(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	reply := wire.AppendResponse(nil, 200, []byte(hello), false)
	var wg sync.WaitGroup
	serve := func(c net.Conn) {
		buf, out := make([]byte, 8<<10), slices.Repeat(reply, 64)
		for {
			n, err := c.Read(buf)
			if err == nil {
				_, err = c.Write(out[:len(reply)*bytes.Count(buf[:n], []byte("\r\n\r\n"))])
			}
			if err != nil {
				_ = c.Close() // the client has gone
				return
			}
		}
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// load runs n requests at a rate over ten connections.
func load(tb testing.TB, url string, n int, rate float64, connections int) *clients.Report {
	return run(tb, plan(url, func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = connections
		p := steady(int(float64(n)/rate*1000), rate)
		s.Phases = []scenarios.Phase{p, drain(100)}
	}))
}

func TestNoAllocationPerRequest(t *testing.T) {
	url := frugal(t)
	mallocs := func(n int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		load(t, url, n, 20_000, 10)
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	mallocs(1000)
	few, many := mallocs(2000), mallocs(12_000)
	if per := (float64(many) - float64(few)) / 10_000; per > 0.02 {
		t.Errorf("%.3f allocations a request: %d for 2000, %d for 12000", per, few, many)
	}
}

func BenchmarkClosedLoop(b *testing.B) {
	for _, engine := range []string{"epoll", uringName} {
		for _, connections := range []int{64, 1000} {
			b.Run(fmt.Sprintf("engine=%s/connections=%d", engine, connections), func(b *testing.B) { benchClosedLoop(b, engine, connections) })
		}
	}
}

func benchClosedLoop(b *testing.B, engine string, connections int) {
	if engine == uringName {
		needRing(b)
	}
	url := frugal(b)
	var requests, more int64
	var cpu, mallocs float64
	once := func(ms int) (*clients.Report, float64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := run(b, plan(url, func(p *clients.Plan, s *scenarios.Scenario) {
			p.Engine = engine
			closedLoop(s, connections, ms)
		}))
		runtime.ReadMemStats(&after)
		return r, float64(after.Mallocs - before.Mallocs)
	}
	once(100) // what a process allocates once is no request's
	for b.Loop() {
		short, set := once(200)
		long, all := once(1000)
		requests += long.Outcomes["ok"]
		more += long.Outcomes["ok"] - short.Outcomes["ok"]
		mallocs += all - set
		for _, i := range long.Intervals {
			cpu += float64(i.CPUNs)
		}
	}
	b.ReportMetric(float64(requests)/float64(b.N), "requests/s")
	b.ReportMetric(cpu/float64(requests), "client-ns/request")
	b.ReportMetric(mallocs/float64(more), "allocs/request") // without those of setting up
}
