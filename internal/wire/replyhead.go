package wire

import "bytes"

// word is a header name or value that matters, in words.
type word uint8

const (
	wordNone word = iota
	wordContentLength
	wordConnection
	wordTransferEncoding
	wordClose
	wordKeepAlive
	wordChunked
)

// words are lower case. No two of a kind begin alike up to where they are told apart by nextWord.
var words = [...]string{
	wordContentLength: "content-length", wordConnection: "connection", wordTransferEncoding: "transfer-encoding",
	wordClose: "close", wordKeepAlive: "keep-alive", wordChunked: "chunked",
}

const version = "HTTP/1."

// feedHead takes bytes of the status line and the fields.
func (s *ReplyState) feedHead(buf []byte, e *Expect) (n int, err *Error) {
	for n < len(buf) && s.state < replyBody {
		taken := s.shortcut(buf[n:])
		if taken > 0 {
			n += taken
			s.head += uint32(taken)
			continue
		}
		taken = 1
		switch s.state {
		case replyStart, replyVersion, replyMinor, replyBlank, replyStatus:
			err = s.statusLine(buf[n])
		case replyReason, replySkip:
			if i := bytes.IndexByte(buf[n:], '\n'); i >= 0 {
				taken, s.state = i+1, replyField
			} else {
				taken = len(buf) - n
			}
		case replyHeadEnd:
			if buf[n] != '\n' {
				return 0, ErrReplyField
			}
			err = s.endHead(e)
		default:
			err = s.fieldByte(buf[n])
		}
		if err != nil {
			return 0, err
		}
		n += taken
		if s.state >= replyBody {
			break
		}
		if s.head += uint32(taken); s.head > MaxReplyHeader {
			return 0, ErrReplyHeader
		}
	}
	return n, nil
}

// The beginnings that nearly every reply has, and that are understood at once where they arrive whole.
const (
	usualStart = "HTTP/1.1 "
	usualField = "Content-Length: "
)

// shortcut takes a usual beginning and returns its length, zero where there is none. The slow way through statusLine and
// fieldByte leads to the same state.
func (s *ReplyState) shortcut(buf []byte) int {
	const status = len(usualStart)
	switch {
	case s.state == replyStart && len(buf) > status+3 && string(buf[:status]) == usualStart &&
		isDigit(buf[status]) && isDigit(buf[status+1]) && isDigit(buf[status+2]):
		s.length, s.state, s.at = -1, replyStatus, 3
		s.status = uint16(buf[status]-'0')*100 + uint16(buf[status+1]-'0')*10 + uint16(buf[status+2]-'0')
		return status + 3
	case s.state == replyField && len(buf) >= len(usualField) && string(buf[:len(usualField)]) == usualField:
		s.state, s.word, s.at = replyBlanks, wordContentLength, uint8(len(usualField)-2)
		return len(usualField)
	}
	return 0
}

func (s *ReplyState) statusLine(c byte) *Error {
	switch s.state {
	case replyStart:
		s.length, s.state = -1, replyVersion
		fallthrough
	case replyVersion:
		if c != version[s.at] {
			return ErrStatusLine
		}
		if s.at++; int(s.at) == len(version) {
			s.state = replyMinor
		}
		return nil
	case replyMinor:
		if c == '0' {
			s.flags |= replyHTTP10
		} else if c != '1' {
			return ErrStatusLine
		}
		s.state = replyBlank
		return nil
	case replyBlank:
		if c != ' ' {
			return ErrStatusLine
		}
		s.state, s.at = replyStatus, 0
		return nil
	}
	if s.at < 3 && isDigit(c) {
		s.status = s.status*10 + uint16(c-'0')
		s.at++
		return nil
	}
	if s.at < 3 || s.status < 100 || c != ' ' && c != '\r' {
		return ErrStatusLine
	}
	s.state = replyReason
	return nil
}

// fieldByte takes a byte of a header field. Fields that don't matter are skipped from their first different byte on.
func (s *ReplyState) fieldByte(c byte) *Error {
	lower := c
	if c >= 'A' && c <= 'Z' {
		lower |= 0x20
	}
	switch s.state {
	case replyField:
		return s.startField(c, lower)
	case replyName:
		s.nameByte(c, lower)
	case replyBlanks:
		if c == ' ' || c == '\t' {
			return nil
		}
		if s.word == wordContentLength {
			s.state, s.left = replyDigits, 0
			s.flags &^= replyDigit
			return s.digit(c)
		}
		s.flags |= s.codedBy()
		s.startItem(c, lower)
	case replyDigits, replyAfterDigits:
		return s.digit(c)
	case replyWord, replySkipWord:
		s.itemByte(c, lower)
	}
	return nil
}

func (s *ReplyState) startField(c, lower byte) *Error {
	s.state, s.at = replyName, 1
	switch lower {
	case '\r':
		s.state = replyHeadEnd
	case 'c':
		s.word = wordContentLength
	case 't':
		s.word = wordTransferEncoding
	default:
		if !tokenByte[c] {
			return ErrReplyField
		}
		s.state = replySkip
	}
	return nil
}

func (s *ReplyState) nameByte(c, lower byte) {
	name := words[s.word]
	switch {
	case int(s.at) == len(name) && c == ':':
		s.state = replyBlanks
	case int(s.at) < len(name) && name[s.at] == lower:
		s.at++
	case s.word == wordContentLength && s.at == 3 && lower == 'n':
		s.word, s.at = wordConnection, 4 // "con" is where the two part
	case c == '\n':
		s.state = replyField
	default:
		s.state = replySkip
	}
}

// digit takes a byte of Content-Length's value.
func (s *ReplyState) digit(c byte) *Error {
	switch {
	case s.state == replyDigits && isDigit(c) && s.left < maxChunkSize:
		s.left = s.left*10 + int64(c-'0')
		s.flags |= replyDigit
	case s.flags&replyDigit == 0:
		return ErrReplyLength
	case c == ' ' || c == '\t':
		s.state = replyAfterDigits
	case c == '\r':
		if s.length >= 0 && s.length != s.left {
			return ErrReplyLength
		}
		s.length, s.state = s.left, replySkip
	default:
		return ErrReplyLength
	}
	return nil
}

// codedBy is the flag that any value of the present field sets.
func (s *ReplyState) codedBy() replyFlag {
	if s.word == wordTransferEncoding {
		return replyCoded
	}
	return 0
}

// startItem begins an item of a comma-separated list. The word is that of the field, or one of its items.
func (s *ReplyState) startItem(c, lower byte) {
	encoding := s.word == wordTransferEncoding || s.word == wordChunked
	s.state, s.at = replyWord, 1
	switch {
	case c == '\r' || c == '\n':
		s.state = replySkip
		if c == '\n' {
			s.state = replyField
		}
	case c == ',':
		s.state = replyBlanks
	case encoding:
		// Only a last "chunked" frames the body.
		s.flags &^= replyChunked
		s.word = wordChunked
		if lower != 'c' {
			s.state = replySkipWord
		}
	case lower == 'c':
		s.word = wordClose
	case lower == 'k':
		s.word = wordKeepAlive
	default:
		s.state = replySkipWord
	}
}

func (s *ReplyState) itemByte(c, lower byte) {
	switch {
	case c == ',' || c == '\r' || c == '\n':
		s.endItem()
		switch c {
		case ',':
			s.state = replyBlanks
		case '\r':
			s.state = replySkip
		default:
			s.state = replyField
		}
	case s.state == replySkipWord:
	case int(s.at) < len(words[s.word]) && words[s.word][s.at] == lower:
		s.at++
	case int(s.at) == len(words[s.word]) && (c == ' ' || c == '\t'):
	default:
		s.state = replySkipWord
	}
}

func (s *ReplyState) endItem() {
	if s.state != replyWord || int(s.at) != len(words[s.word]) {
		return
	}
	switch s.word {
	case wordClose:
		s.flags |= replyClose
	case wordKeepAlive:
		s.flags |= replyKeep
	case wordChunked:
		s.flags |= replyChunked
	}
}

// endHead decides, at the blank line, how the body is framed: RFC 9112 section 6.3.
func (s *ReplyState) endHead(e *Expect) *Error {
	switch {
	case s.status < 200 && s.status != 101:
		*s = ReplyState{}
	case s.status == 101 || s.status == 204 || s.status == 304 || e != nil && e.Head:
		s.finish(e)
	case s.flags&replyChunked != 0:
		s.state, s.left = replyChunkSize, 0
		s.flags &^= replyDigit
	case s.flags&replyCoded != 0 || s.length < 0:
		s.state = replyToEOF
		s.flags |= replyClose
	case s.length == 0:
		s.finish(e)
	default:
		s.state, s.left = replyBody, s.length
	}
	return nil
}
