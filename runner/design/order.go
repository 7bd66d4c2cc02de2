// Package design draws the order in which a run's variants, and the steps of a sweep, take their turns.
package design

import "math/rand/v2"

// Williams is the name of Order's design in run.json.
const Williams = "williams"

// Order returns for each round the names of the variants, reordered: complete blocks, each variant once a round. The rounds are the
// rows of Williams designs, one after the other, each with its rows and labels in an order of its own drawn from the seed.
// Over a whole design every variant stands in every position, and directly behind every other variant, equally often, so
// that what a trial leaves behind for the next one falls on all alike. A design has as many rows as there are variants, or
// twice as many where that number is odd. The same seed gives the same order, and more rounds begin with the same ones.
//
// Source: E. J. Williams, Experimental designs balanced for the estimation of residual effects of treatments, Australian
// Journal of Scientific Research A 2 (1949), 149–168.
func Order(variants []string, rounds int, seed uint64) [][]string {
	if len(variants) == 0 {
		return make([][]string, rounds)
	}
	rnd := rand.New(rand.NewPCG(seed, 0x6d696c6c72616365)) // "millrace": another stream than the arrivals'
	rows := williams(len(variants))
	order := make([][]string, 0, rounds)
	for {
		labels := rnd.Perm(len(variants))
		for _, i := range rnd.Perm(len(rows)) {
			if len(order) == rounds {
				return order
			}
			names := make([]string, len(variants))
			for position, label := range rows[i] {
				names[position] = variants[labels[label]]
			}
			order = append(order, names)
		}
	}
}

// Sweep returns for each round the order of the steps, and the order of the variants at the first of them, then at the next, and
// so on. The steps of the rounds are ordered as Order does it, so that what drifts within a round does not follow what is swept;
// so are the variants of each step, over the rounds, by a stream of its own. Without steps it is Order, and stepOrder is nil.
func Sweep(steps, variants []string, rounds int, seed uint64) (stepOrder, order [][]string) {
	if len(steps) == 0 {
		return nil, Order(variants, rounds, seed)
	}
	stepOrder, order = Order(steps, rounds, seed), make([][]string, rounds)
	at := map[string][][]string{}
	for k, step := range steps {
		at[step] = Order(variants, rounds, seed+uint64(k+1)*apart)
	}
	for r, row := range stepOrder {
		for _, step := range row {
			order[r] = append(order[r], at[step][r]...)
		}
	}
	return stepOrder, order
}

// apart is the distance of the seeds of two steps, 2⁶⁴ ÷ the golden ratio: far from those of neighbouring runs.
const apart = 0x9e3779b97f4a7c15

// williams returns the rows of a Williams design of n treatments. The first row is 0, n−1, 1, n−2, …, whose differences of
// neighbours mod n are all different where n is even; the others are shifts of it. Where n is odd each difference comes
// twice or never, and the rows read backwards, which have the missing ones, are added.
func williams(n int) [][]int {
	first := make([]int, n)
	for i := range first {
		if first[i] = i / 2; i%2 == 1 {
			first[i] = n - 1 - i/2
		}
	}
	rows := make([][]int, 0, 2*n)
	for shift := range n {
		row := make([]int, n)
		for i, v := range first {
			row[i] = (v + shift) % n
		}
		rows = append(rows, row)
	}
	if n%2 == 0 {
		return rows
	}
	for _, row := range rows[:n] {
		back := make([]int, n)
		for i, v := range row {
			back[n-1-i] = v
		}
		rows = append(rows, back)
	}
	return rows
}
