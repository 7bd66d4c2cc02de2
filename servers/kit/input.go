package kit

import "io"

const (
	// inputBytes is a connection's read buffer, net/http's size. It doubles up to MaxInput while a request needs it.
	inputBytes = 4 << 10
	// KeptBytes is the largest buffer that a connection should keep when a request is over.
	KeptBytes = 64 << 10
)

// Input is the read buffer of one connection, for models whose framework has none. The zero value is not usable, see
// NewInput. It belongs to whoever reads the connection.
type Input struct {
	buf      []byte
	from, to int // buf[from:to] is not yet handled
}

// NewInput returns an empty buffer of 4 KiB.
func NewInput() Input { return Input{buf: make([]byte, inputBytes)} }

// Read makes room and reads once from r. It returns r's error; what was read before it is there.
func (in *Input) Read(r io.Reader) error {
	switch {
	case in.from == in.to:
		in.from, in.to = 0, 0
		if len(in.buf) > KeptBytes {
			in.buf = make([]byte, inputBytes)
		}
	case in.to == len(in.buf) && in.from > 0:
		in.to = copy(in.buf, in.buf[in.from:in.to])
		in.from = 0
	}
	if in.to == len(in.buf) {
		grown := make([]byte, min(2*len(in.buf), MaxInput))
		in.to = copy(grown, in.buf)
		in.buf = grown
	}
	n, err := r.Read(in.buf[in.to:])
	in.to += n
	return err
}

// Bytes are what was read and not taken, valid until the next Read.
func (in *Input) Bytes() []byte { return in.buf[in.from:in.to] }

// Take drops the first n bytes.
func (in *Input) Take(n int) { in.from += n }
