//go:build !race

package secure_test

// slow is how many times as long things take.
const slow = 1
