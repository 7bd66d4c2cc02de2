package scenarios

import (
	"fmt"
	"strconv"
)

// Replicas is how many processes a server runs as, behind one set of addresses: a number, or "auto" for as few as the limits of
// one process allow for the connections.
type Replicas string

// Auto lets the host decide.
const Auto Replicas = "auto"

const maxReplicas = 1024

func (r Replicas) validate() error {
	if r == Auto {
		return nil
	}
	if n, err := strconv.Atoi(string(r)); err != nil || n < 1 || n > maxReplicas {
		return fmt.Errorf("replicas %q: want auto, or 1 to %d", string(r), maxReplicas)
	}
	return nil
}

// Number is how many processes there are; zero for Auto.
func (r Replicas) Number() int {
	n, _ := strconv.Atoi(string(r))
	return n
}

// UnmarshalText reads a number or "auto"; what else is wrong Validate says.
func (r *Replicas) UnmarshalText(text []byte) error {
	*r = Replicas(text)
	return nil
}
