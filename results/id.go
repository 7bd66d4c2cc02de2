package results

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"
)

// idStamp makes the names of run directories sort by time.
const idStamp = "20060102T150405Z"

// NewID names a run: 20261121T031500Z-burst-k3f9. The last four characters, from rnd, keep runs that start in the same
// second apart.
func NewID(now time.Time, scenario string, rnd *rand.Rand) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	tail := make([]byte, 4)
	for i := range tail {
		tail[i] = letters[rnd.IntN(len(letters))]
	}
	return fmt.Sprintf("%s-%s-%s", now.UTC().Format(idStamp), FileName(scenario), tail)
}

// TrialID names a trial and its directory: r03-burst-gnet+ants, for round 3 of gnet/ants; of the second step of a sweep
// r03-burst-gnet+ants-s02. Steps count from 1, and 0 is a run without a sweep.
func TrialID(round int, scenario, variant string, step int) string {
	id := fmt.Sprintf("r%02d-%s-%s", round, FileName(scenario), FileName(variant))
	if step > 0 {
		id += fmt.Sprintf("-s%02d", step)
	}
	return id
}

// FileName makes a name fit for a file name: slashes become "+", white space and NUL "_".
func FileName(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '/', '\\':
			return '+'
		case ' ', '\t', '\r', '\n', 0:
			return '_'
		}
		return r
	}, name)
}

// checkTrialID refuses what can't be the name of a directory below trials/.
func checkTrialID(id string) error {
	if id == "" || id == "." || FileName(id) != id || !filepath.IsLocal(id) {
		return fmt.Errorf("trial id %q: want the name of a directory such as r03-burst-gnet+ants", id)
	}
	return nil
}
