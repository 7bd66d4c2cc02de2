//go:build race

package conform

// slow is how many times as long things take with the race detector.
const slow = 5
