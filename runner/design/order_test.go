package design

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contenders are the names v0, v1, … of n variants.
func contenders(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("v", i))
	}
	return names
}

// Over a whole design every variant follows every other, and stands in every position, equally often.
func TestOrderBalancesNeighboursAndPositions(t *testing.T) {
	for n := 1; n <= 13; n++ {
		names := contenders(n)
		rows := n * (1 + n%2)
		for seed := range uint64(5) {
			order := Order(names, 3*rows, seed)
			for design := range 3 {
				pairs, places := map[[2]string]int{}, map[string]int{}
				for r, round := range order[design*rows : (design+1)*rows] {
					if sorted := slices.Sorted(slices.Values(round)); !slices.Equal(sorted, slices.Sorted(slices.Values(names))) {
						t.Fatalf("%d variants, round %d is %v: want each once", n, r+1, round)
					}
					for i, name := range round {
						places[fmt.Sprint(name, " at ", i)]++
						if i > 0 {
							pairs[[2]string{round[i-1], name}]++
						}
					}
				}
				if len(pairs) != n*(n-1) || len(places) != n*n {
					t.Errorf("%d variants: %d ordered pairs and %d places come up, want %d and %d", n, len(pairs), len(places), n*(n-1), n*n)
				}
				for pair, times := range pairs {
					if times != rows/n {
						t.Errorf("%d variants, design %d: %v follow each other %d times, want %d", n, design, pair, times, rows/n)
					}
				}
				for place, times := range places {
					if times != rows/n {
						t.Errorf("%d variants, design %d: %s %d times, want %d", n, design, place, times, rows/n)
					}
				}
			}
			if n > 3 && cmp.Equal(order[:rows], order[rows:2*rows]) {
				t.Errorf("%d variants: the second design is the first again", n)
			}
		}
	}
}

func TestOrderIsSeededAndGrows(t *testing.T) {
	variants := contenders(6)
	order := Order(variants, 20, 7)
	if diff := cmp.Diff(order, Order(variants, 20, 7)); diff != "" {
		t.Errorf("the same seed gives another order: %s", diff)
	}
	if cmp.Equal(order, Order(variants, 20, 8)) {
		t.Error("another seed gives the same order")
	}
	for rounds := range 20 {
		if diff := cmp.Diff(order[:rounds], Order(variants, rounds, 7)); diff != "" {
			t.Errorf("%d rounds are not the first of 20: %s", rounds, diff)
		}
	}
}
