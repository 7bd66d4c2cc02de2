package inference

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// PairedT estimates the mean of paired differences d with Student's interval, Value ± t·s/√n, and tests whether it is 0.
//
// Where: s is their standard deviation with n−1, t the (1+confidence)/2 quantile of Student's distribution with n−1 degrees
// of freedom.
//
// One value, or values that are all equal but for rounding, tell nothing of their scatter: Value then stands alone, and Lo,
// Hi and P are NaN.
func PairedT(d []float64, confidence float64) Estimate {
	e := noEstimate(len(d), PairedTMethod)
	if !usable(d) {
		return e
	}
	n := float64(len(d))
	y, exponent := scaled(d)
	mean, sd := stat.MeanStdDev(y, nil)
	e.Value = math.Ldexp(mean, exponent)
	const rounding = 10 * 0x1p-52 // as R's t.test has it: "data are essentially constant"
	se := sd / math.Sqrt(n)
	if len(d) < 2 || se <= rounding*math.Abs(mean) {
		return e
	}
	student := distuv.StudentsT{Sigma: 1, Nu: n - 1}
	e.P = 2 * student.CDF(-math.Abs(mean/se))
	if level(confidence) {
		reach := student.Quantile((1+confidence)/2) * se
		e.Lo, e.Hi, e.Confidence = math.Ldexp(mean-reach, exponent), math.Ldexp(mean+reach, exponent), confidence
	}
	return e
}
