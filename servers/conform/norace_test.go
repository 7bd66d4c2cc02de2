//go:build !race

package conform

// slow is how many times as long things take.
const slow = 1
