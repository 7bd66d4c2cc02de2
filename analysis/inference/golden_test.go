package inference

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// wanted is an Estimate as R or scipy has it.
type wanted struct {
	By                        string
	D, X, Y                   []float64
	Confidence                float64
	Value, Lo, Hi, Reached, P float64
	Blocks                    [][]float64
	F, DF1, DF2               float64
	Adjusted                  []float64
	Slope, Intercept          float64
	K, N                      int
	Upper                     float64
	SD, Alpha, Power, Mde     float64
	Effect                    float64
}

// golden returns the vectors of testdata/golden.json, made by testdata/golden.py with R and scipy.
func golden(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// vectors returns those of one procedure, at least the number given.
func vectors(t *testing.T, raw json.RawMessage, least int) []wanted {
	t.Helper()
	var list []wanted
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < least {
		t.Fatalf("%d vectors, want at least %d", len(list), least)
	}
	return list
}

// agree compares with relative tolerance; 0 must be 0 but for what is lost on the way from size.
func agree(t *testing.T, c wanted, what string, got, want, size float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*math.Abs(want)+1e-14*size) {
		t.Errorf("%s = %v, want %v (%s: %+v)", what, got, want, c.By, c)
	}
}

func (c wanted) check(t *testing.T, e Estimate, method string, n int) {
	t.Helper()
	size := math.Abs(c.Hi - c.Lo)
	agree(t, c, "value", e.Value, c.Value, size)
	agree(t, c, "lo", e.Lo, c.Lo, size)
	agree(t, c, "hi", e.Hi, c.Hi, size)
	agree(t, c, "confidence", e.Confidence, c.Reached, 1)
	agree(t, c, "p", e.P, c.P, 0)
	if e.Method != method || e.N != n {
		t.Errorf("method %q, n %d: want %q, %d", e.Method, e.N, method, n)
	}
}

func TestGoldenEstimates(t *testing.T) {
	all := golden(t)
	for _, c := range vectors(t, all["signed_rank"], 60) {
		c.check(t, SignedRank(c.D, c.Confidence), SignedRankMethod, len(c.D))
	}
	for _, c := range vectors(t, all["paired_t"], 14) {
		c.check(t, PairedT(c.D, c.Confidence), PairedTMethod, len(c.D))
	}
	for _, c := range vectors(t, all["shift"], 22) {
		c.check(t, Shift(c.X, c.Y, c.Confidence), MannWhitneyMethod, len(c.X)+len(c.Y))
	}
}

func TestGoldenTests(t *testing.T) {
	all := golden(t)
	for _, c := range vectors(t, all["sign_flip"], 16) {
		p, exact := SignFlip(c.D, 1)
		agree(t, c, "p", p, c.P, 0)
		if !exact {
			t.Errorf("%d differences are not exact", len(c.D))
		}
	}
	for _, c := range vectors(t, all["friedman"], 15) {
		f, df1, df2, p := Friedman(c.Blocks)
		agree(t, c, "f", f, c.F, 1)
		agree(t, c, "df1", df1, c.DF1, 0)
		agree(t, c, "df2", df2, c.DF2, 0)
		agree(t, c, "p", p, c.P, 0)
	}
	var holm []struct{ P, Adjusted []float64 }
	if err := json.Unmarshal(all["holm"], &holm); err != nil || len(holm) < 7 {
		t.Fatal(len(holm), err)
	}
	for _, c := range holm {
		for i, p := range Holm(c.P) {
			agree(t, wanted{By: "R p.adjust"}, "adjusted", p, c.Adjusted[i], 0)
		}
	}
}

func TestGoldenLinesAndBounds(t *testing.T) {
	all := golden(t)
	for _, c := range vectors(t, all["theil_sen"], 8) {
		l := TheilSen(c.X, c.Y, 0.95)
		agree(t, c, "slope", l.Slope, c.Slope, 0)
		agree(t, c, "intercept", l.Intercept, c.Intercept, math.Abs(c.Slope*c.X[len(c.X)-1]))
	}
	for _, c := range vectors(t, all["clopper_pearson"], 36) {
		lo, hi := ClopperPearson(c.K, c.N, c.Confidence)
		agree(t, c, "lo", lo, c.Lo, 1)
		agree(t, c, "hi", hi, c.Hi, 1)
		agree(t, c, "upper", ClopperPearsonUpper(c.K, c.N, c.Confidence), c.Upper, 1)
	}
	var power struct{ MDE, Rounds []wanted }
	if err := json.Unmarshal(all["power"], &power); err != nil || len(power.MDE) < 60 || len(power.Rounds) < 12 {
		t.Fatal(len(power.MDE), len(power.Rounds), err)
	}
	for _, c := range power.MDE {
		agree(t, c, "MDE", MDE(c.SD, c.N, c.Alpha, c.Power), c.Mde, 0)
	}
	for _, c := range power.Rounds {
		if n := RoundsFor(c.SD, c.Effect, c.Alpha, c.Power); n != c.N {
			t.Errorf("RoundsFor(%v, %v) = %d, want %d", c.SD, c.Effect, n, c.N)
		}
	}
}
