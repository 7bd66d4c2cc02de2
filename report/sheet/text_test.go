package sheet

import (
	"fmt"
	"testing"
)

func TestPieces(t *testing.T) {
	check := func(want string, widths ...int) {
		t.Helper()
		if got := fmt.Sprint(pieces(widths, 2)); got != want {
			t.Errorf("%v in pieces %s, want %s", widths, got, want)
		}
	}
	check("[[1 2 3]]", 10, 20, 20, 20)
	check("[[1 2] [3 4]]", 10, 28, 28, 28, 28) // not three and one
	check("[[1 2 3] [4 5]]", 20, 25, 25, 25, 25, 25)
	check("[[1] [2]]", 10, 200, 20)
	check("[]", 10)
}
