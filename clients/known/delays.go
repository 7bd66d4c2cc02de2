package known

import (
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/arrivals"
	"github.com/millrace/millrace/clients/reflect"
)

// fixedDelay is a server that answers every request after D = 20 ms, on connections enough (rate · D = 20 of them are
// busy). So every percentile is D, and nothing is earlier.
func fixedDelay(quick bool) Case {
	const delay, rate = 20 * time.Millisecond, 1000
	length := 2 * time.Second
	if quick {
		length = 500 * time.Millisecond
	}
	return Case{
		Name: "fixed delay", Script: reflect.Script{Protocol: "http1", Delay: delay}, Connections: 100, Except: onSharedThreads,
		Phases: phases(steady(length, constant(rate)), drain(200*time.Millisecond)),
		Judge: func(t *Trial) []Answer {
			out := []Answer{all(t, clients.OK)}
			for _, q := range []quantile{p50, p90, p95, p99} {
				a := t.about(q.name, delay, q.q)
				a.Low = float64(delay) * (1 - early)
				a.OK = a.OK && *a.Measured >= a.Low
				out = append(out, a)
			}
			return out
		},
	}
}

// twoPointDelay is a server that answers each hundredth request after 100 ms and the others after 20 ms, on connections
// enough (1000/s · 20.8 ms = 21 are busy). So the quantiles below 0.99 are 20 ms, those above it are 100 ms, and of n requests exactly
// n ÷ 100 take longer than the 60 ms between. The quantile 0.99 itself is the last of the fast ones, and says nothing; the one
// below it that is judged leaves room for 2 % that the host held up by some ms.
func twoPointDelay() Case {
	const fast, slow, every, rate = 20 * time.Millisecond, 100 * time.Millisecond, 100, 1000
	return Case{
		Name: "two-point delay", Connections: 200, Except: onSharedThreads,
		Script: reflect.Script{Protocol: "http1", Delay: fast, SlowDelay: slow, SlowEvery: every},
		Phases: phases(steady(3*time.Second, constant(rate)), drain(300*time.Millisecond)),
		Judge: func(t *Trial) []Answer {
			return []Answer{
				all(t, clients.OK),
				t.about("p50", fast, 0.5),
				t.about("p97", fast, 0.97),
				t.about("p99.5", slow, 0.995),
				t.about("p99.9", slow, 0.999),
				exactly("over 60 ms", "requests", t.Report.Planned/every, t.Response.Between(int64((fast+slow)/2), int64(time.Hour))),
			}
		},
	}
}

// bystanders are the requests beside those of which a third ask for work of 40 ms, on connections enough (1000/s · 0.33 · 40 ms =
// 13 of them are busy). The work holds up only the connection that asked for it. So the median of those that asked is 40 ms, that
// of the bystanders is none; how many there are of each follows from the numbers of the requests.
func bystanders(quick bool) Case {
	const work, rate, share = 40 * time.Millisecond, 1000, 33
	length := 2 * time.Second
	if quick {
		length = time.Second
	}
	return Case{
		Name: "bystanders", Script: reflect.Script{Protocol: "http1", WorkDelay: work}, Connections: 100, Share: share, Except: onSharedThreads,
		Phases: phases(steady(length, constant(rate)), drain(200*time.Millisecond)),
		Judge: func(t *Trial) []Answer {
			out := []Answer{all(t, clients.OK)}
			var asked int64
			for n := range t.Report.Planned {
				if arrivals.AsksForWork(t.Plan.Seed, n, share) {
					asked++
				}
			}
			w, b := t.Report.Work, t.Report.Bystander
			if w == nil || b == nil {
				return append(out, exactly("work", "requests", asked, -1))
			}
			out = append(out, exactly("work", "requests", asked, w.OK), exactly("bystanders", "requests", t.Report.Planned-asked, b.OK),
				exactly("work done", "requests", asked, t.Served.Worked))
			median := within("p50 of work", work, -1, work*(1000-1)/1000, time.Duration(float64(work)*(1+tolerance))+wake+t.late(0.5))
			if v := w.ResponseNs.P50; v != nil {
				median = within(median.What, work, *v, time.Duration(median.Low), time.Duration(median.High))
			}
			return append(out, median, t.given("p50 of bystanders", b.ResponseNs.P50))
		},
	}
}

// quantile and its name in tables.
type quantile struct {
	name string
	q    float64
}

var (
	p50  = quantile{"p50", 0.5}
	p90  = quantile{"p90", 0.9}
	p95  = quantile{"p95", 0.95}
	p99  = quantile{"p99", 0.99}
	p999 = quantile{"p99.9", 0.999}
)
