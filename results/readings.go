package results

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// ReadReadings reads the readings of one trial and returns them in the order of their times. Where the last line is torn off
// it returns those before it, and an error that is ErrTorn.
func ReadReadings(path string) ([]Reading, error) {
	var readings []Reading
	err := eachLine(path, func(no int, line []byte) error {
		var r Reading
		if err := unmarshal(line, &r); err != nil {
			return fmt.Errorf("%s:%d: %w", path, no, err)
		}
		readings = append(readings, r)
		return nil
	})
	slices.SortStableFunc(readings, func(a, b Reading) int { return cmp.Compare(a.TNs, b.TNs) })
	if err != nil {
		err = fmt.Errorf("reading readings: %w", err)
		if !errors.Is(err, ErrTorn) {
			readings = nil
		}
	}
	return readings, err
}
