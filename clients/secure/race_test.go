//go:build race

package secure_test

// slow is how many times as long things take: the race detector makes a handshake cost ten times as much.
const slow = 5
