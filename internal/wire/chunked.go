package wire

import "bytes"

// chunks reads a chunked body as far as it has arrived.
func (r *Request) chunks(buf []byte) *Error {
	for {
		switch r.phase {
		case phaseChunkLine:
			line, whole, err := r.line(buf, r.pos+maxChunkLine, ErrChunk)
			if err != nil || !whole {
				return err
			}
			if err := r.chunkLine(line); err != nil {
				return err
			}
		case phaseChunk:
			piece := buf[r.pos:min(len(buf), r.pos+r.length)]
			r.scratch = append(r.scratch, piece...)
			r.pos, r.length = r.pos+len(piece), r.length-len(piece)
			if r.length > 0 {
				return nil
			}
			r.phase = phaseChunkEnd
		case phaseChunkEnd:
			rest := buf[r.pos:]
			if !bytes.HasPrefix([]byte("\r\n"), rest[:min(len(rest), 2)]) {
				return ErrChunk
			}
			if len(rest) < 2 {
				return nil
			}
			r.pos, r.scan = r.pos+2, r.pos+2
			r.phase = phaseChunkLine
		case phaseTrailer:
			// length is where the trailer began, so that all of it is bounded.
			line, whole, err := r.line(buf, r.length+MaxHeader, ErrHeaderTooLarge)
			if err != nil || !whole {
				return err
			}
			if len(line) == 0 {
				r.Body, r.phase = r.scratch, phaseDone
				return nil
			}
			if i := bytes.IndexByte(line, ':'); i <= 0 || !allIn(&tokenByte, line[:i]) || !allIn(&valueByte, line[i+1:]) {
				return ErrField
			}
		}
	}
}

// chunkLine reads a chunk's size, and drops extensions behind it.
func (r *Request) chunkLine(line []byte) *Error {
	size, digits := 0, 0
	for digits < len(line) {
		v := hexValue[line[digits]]
		if v == 0 {
			break
		}
		size = min(size<<4|int(v-1), MaxBody+1)
		digits++
	}
	rest := trimBlanks(line[digits:])
	if digits == 0 || len(rest) > 0 && rest[0] != ';' || !allIn(&valueByte, rest) {
		return ErrChunk
	}
	// What is sent around the bodies may be as much as the largest body: then chunks are too small to be worth it.
	if len(r.scratch)+size > MaxBody || r.pos+size+2 > MaxRequest-2*maxChunkLine-MaxHeader {
		return ErrBodyTooLarge
	}
	r.length, r.phase = size, phaseChunk
	if size == 0 {
		r.length, r.phase = r.pos, phaseTrailer
	}
	return nil
}

// hexValue[c] is the value of a hexadecimal digit plus one, zero for other bytes.
var hexValue = func() (t [256]uint8) {
	for i, c := range "0123456789abcdef" {
		t[c] = uint8(i) + 1
	}
	for i, c := range "ABCDEF" {
		t[c] = uint8(i) + 11
	}
	return t
}()
