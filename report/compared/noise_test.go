package compared

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/analysis/inference"
	"github.com/millrace/millrace/analysis/noise"
	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/results"
)

// studies are one of a server against itself, with a metric of which there are fewer rounds, and one with a spin in B.
func studies() []*noise.Study {
	info := func(name string) results.Info {
		m, _ := results.Metric(name)
		return m
	}
	ratio := func(n int, value, lo, hi float64) inference.Estimate {
		return inference.Estimate{Value: value, Lo: lo, Hi: hi, Confidence: 0.95, N: n, Method: inference.SignedRankMethod}
	}
	plain := &noise.Study{
		Runs: []string{"one", "two"}, Server: "gnet", Scenario: "steady", Design: "one after the other", Rounds: 120, Left: 3, Took: 40 * time.Minute,
		Metrics: []noise.Metric{
			{Info: info("cpu-per-req-ns"), Rounds: 120, Scatter: 0.04, Unpaired: 0.09, Ratio: ratio(120, 1.002, 0.995, 1.009), Verdicts: 20, Seen: 1},
			{Info: info("p99-latency-ns"), Rounds: 4, Scatter: 1.42, Unpaired: 1.5, Ratio: ratio(4, 1.4, nan, nan)},
		},
		Off: []string{"gc-share"},
	}
	spun := &noise.Study{
		Runs: []string{"three"}, Server: "gnet", Scenario: "steady --quick", Design: "duets", Injected: 0.08, Rounds: 12, Took: 2 * time.Minute,
		Metrics: []noise.Metric{{Info: info("cpu-per-req-ns"), Rounds: 12, Scatter: 0.02, Unpaired: 0.05, Ratio: ratio(12, 1.083, 1.07, 1.096), Verdicts: 2, Seen: 2, Beyond: 2}},
	}
	return []*noise.Study{plain, spun}
}

func TestNoise(t *testing.T) {
	var b strings.Builder
	if err := Noise(&b, studies(), false); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "noise.txt", b.String())
	b.Reset()
	if err := NoiseMarkdown(&b, studies()); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "noise.md", b.String())
}
