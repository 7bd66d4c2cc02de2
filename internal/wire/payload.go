package wire

// payloadPattern is a period of every payload.
const payloadPattern = "Hello, World! millrace "

// Payload is what a server answers GET with, n bytes long: part of the contract, so that a client can tell a good reply
// from a damaged one. It is a fixed pattern, printable, and with a period that no power of two shares, so that a shifted
// or swapped buffer shows. The caller owns it.
func Payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = payloadPattern[i%len(payloadPattern)]
	}
	return b
}
