package wire

import "bytes"

// Expect is what a client asked for, shared by any number of connections.
type Expect struct {
	// Body is compared with every body received; nil accepts any.
	Body []byte
	// Head is true where the requests are HEAD, whose replies have no body whatever they announce.
	Head bool
}

// ReplyState is how far a connection has got in the reply that it receives. It keeps no bytes, holds no pointers and starts
// as its zero value: one per connection in a table, fed from a read buffer that the connections of a thread share.
type ReplyState struct {
	got    int64 // bytes of the body
	left   int64 // of the body, or of the chunk
	length int64 // Content-Length, −1 without
	head   uint32
	status uint16
	state  replyState
	word   word  // which known name or value the bytes so far are a beginning of
	at     uint8 // how many bytes of it
	flags  replyFlag
}

// replyState is what the next byte belongs to.
type replyState uint8

const (
	replyStart replyState = iota
	replyVersion
	replyMinor
	replyBlank
	replyStatus
	replyReason // the rest of the status line
	replyField  // first byte of a field
	replyName
	replySkip   // to the end of the line
	replyBlanks // before a value
	replyDigits
	replyAfterDigits
	replyWord     // in a list's item
	replySkipWord // to the next comma
	replyHeadEnd  // LF behind the blank line's CR
	replyBody
	replyToEOF
	replyChunkSize
	replyChunkSkip // extensions
	replyChunkBody
	replyChunkCR
	replyChunkLF
	replyTrailer // first byte of a line
	replyTrailerSkip
	replyTrailerEnd
	replyDone
)

// replyFlag is a set of what is known of a reply.
type replyFlag uint8

const (
	replyHTTP10 replyFlag = 1 << iota
	replyClose
	replyKeep
	replyChunked
	replyDiffers
	replyDigit // at least one digit has been seen
	replyCoded // a Transfer-Encoding, chunked or other
)

// Feed takes bytes as they arrive, cut anywhere. n is how many it took; done means that a reply is whole, its results are in
// the methods until the next Feed, and buf[n:] belongs to the next reply. Without done all of buf was taken. 1xx replies are
// passed over; 204, 304 and replies to HEAD have no body. After an error the connection is of no use.
func (s *ReplyState) Feed(buf []byte, e *Expect) (n int, done bool, err error) {
	if s.state == replyDone {
		*s = ReplyState{}
	}
	for n < len(buf) {
		var taken int
		var bad *Error
		switch {
		case s.state < replyBody:
			taken, bad = s.feedHead(buf[n:], e)
		case s.state <= replyToEOF:
			taken = s.feedBody(buf[n:], e)
		default:
			taken, bad = s.feedChunks(buf[n:], e)
		}
		if bad != nil {
			return 0, false, bad
		}
		n += taken
		if s.state == replyDone {
			return n, true, nil
		}
	}
	return n, false, nil
}

// EOF tells that the connection has ended. It reports whether that completes the reply: one whose length nothing announced.
func (s *ReplyState) EOF(e *Expect) (done bool) {
	if s.state != replyToEOF {
		return false
	}
	s.finish(e)
	return true
}

// Started reports whether part of a reply has arrived.
func (s *ReplyState) Started() bool { return s.state != replyStart && s.state != replyDone }

// Status is the reply's status once it is whole.
func (s *ReplyState) Status() int { return int(s.status) }

// BodyLen is the bytes of the body that have arrived, without chunk sizes.
func (s *ReplyState) BodyLen() int64 { return s.got }

// Close reports whether the server ends the connection with this reply.
func (s *ReplyState) Close() bool {
	return s.flags&replyClose != 0 || s.flags&(replyHTTP10|replyKeep) == replyHTTP10
}

// Matches reports whether the body is the one expected.
func (s *ReplyState) Matches() bool { return s.flags&replyDiffers == 0 }

// feedBody takes bytes of a body whose end is known or is that of the connection.
func (s *ReplyState) feedBody(buf []byte, e *Expect) int {
	if s.state == replyBody && int64(len(buf)) > s.left {
		buf = buf[:s.left]
	}
	s.compare(buf, e)
	if s.state == replyBody {
		if s.left -= int64(len(buf)); s.left == 0 {
			s.finish(e)
		}
	}
	return len(buf)
}

// compare counts a piece of the body and holds it against what is expected.
func (s *ReplyState) compare(piece []byte, e *Expect) {
	if e != nil && e.Body != nil && s.flags&replyDiffers == 0 {
		to := s.got + int64(len(piece))
		if to > int64(len(e.Body)) || !bytes.Equal(e.Body[s.got:to], piece) {
			s.flags |= replyDiffers
		}
	}
	s.got += int64(len(piece))
}

// finish ends the reply: a body that is too short differs too.
func (s *ReplyState) finish(e *Expect) {
	if e != nil && e.Body != nil && !e.Head && s.got != int64(len(e.Body)) {
		s.flags |= replyDiffers
	}
	s.state = replyDone
}

// feedChunks takes bytes of a chunked body.
func (s *ReplyState) feedChunks(buf []byte, e *Expect) (n int, err *Error) {
	for n < len(buf) && s.state != replyDone {
		c := buf[n]
		switch s.state {
		case replyChunkBody:
			piece := buf[n:]
			if int64(len(piece)) > s.left {
				piece = piece[:s.left]
			}
			s.compare(piece, e)
			n += len(piece)
			if s.left -= int64(len(piece)); s.left == 0 {
				s.state = replyChunkCR
			}
			continue
		case replyChunkSize:
			if !s.chunkSize(c) {
				return 0, ErrReplyChunk
			}
		case replyChunkSkip:
			if c == '\n' {
				s.startChunk()
			}
		case replyChunkCR, replyChunkLF, replyTrailerEnd:
			if !s.chunkEnd(c, e) {
				return 0, ErrReplyChunk
			}
		case replyTrailer:
			s.state = replyTrailerSkip
			if c == '\r' {
				s.state = replyTrailerEnd
			}
		case replyTrailerSkip:
			if c == '\n' {
				s.state = replyTrailer
			}
		}
		n++
	}
	return n, nil
}

// maxChunkSize bounds a chunk's announced size so that no sum of a few overflows.
const maxChunkSize = 1 << 40

// chunkSize takes a byte of the line with a chunk's size.
func (s *ReplyState) chunkSize(c byte) bool {
	if v := hexValue[c]; v != 0 {
		s.left = s.left<<4 | int64(v-1)
		s.flags |= replyDigit
		return s.left <= maxChunkSize
	}
	if s.flags&replyDigit == 0 || c != '\r' && c != ';' && c != ' ' && c != '\t' {
		return false
	}
	s.state = replyChunkSkip
	return true
}

func (s *ReplyState) startChunk() {
	s.flags &^= replyDigit
	s.state = replyChunkBody
	if s.left == 0 {
		s.state = replyTrailer
	}
}

// chunkEnd takes the line end behind a chunk, or the last one of the reply.
func (s *ReplyState) chunkEnd(c byte, e *Expect) bool {
	switch {
	case s.state == replyChunkCR && c == '\r':
		s.state = replyChunkLF
	case s.state == replyChunkLF && c == '\n':
		s.state, s.left = replyChunkSize, 0
	case s.state == replyTrailerEnd && c == '\n':
		s.finish(e)
	default:
		return false
	}
	return true
}
