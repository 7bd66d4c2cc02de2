// Package wire speaks the two protocols that load and servers meet in: HTTP/1.1 and length-prefixed frames, both sides.
// Every parser works on whatever bytes have arrived so far, gives the same result however they were cut, allocates
// nothing in the steady path, and bounds what it asks its caller to keep.
package wire

import "strconv"

// Limits of what a parser accepts.
const (
	// MaxHeader is the most bytes of a request's start line and header fields, and of a chunked body's trailer; the
	// 8 KiB that nginx and Apache allow.
	MaxHeader = 8 << 10
	// MaxBody is the most bytes of a body, and of a frame behind its length.
	MaxBody = 1 << 20
	// MaxRequest bounds the bytes of one request as sent, chunk sizes included: ParseRequest never asks for more, so a
	// buffer of this size always makes progress.
	MaxRequest = MaxHeader + 2*MaxBody
	// MaxReplyHeader is the most bytes of a reply's head that ReplyState reads, 1xx heads apart.
	MaxReplyHeader = 64 << 10
	// maxChunkLine is the most bytes of a line with a chunk's size and its extensions.
	maxChunkLine = 256
)

// Error is input that breaks the protocol. Errors are constants of this package, compare them with ==.
type Error struct {
	// Status is the HTTP status that answers the request; the connection is closed after it. Zero in replies and frames,
	// which are answered by closing.
	Status int
	text   string
}

func (e *Error) Error() string {
	if e.Status == 0 {
		return e.text
	}
	return strconv.Itoa(e.Status) + ": " + e.text
}

// The errors of ParseRequest.
var (
	ErrBareLF           = &Error{400, "parsing request: line ends in a bare LF, want CRLF"}
	ErrRequestLine      = &Error{400, "parsing request line: want METHOD TARGET HTTP/1.1"}
	ErrField            = &Error{400, "parsing header: want NAME: VALUE without blanks before the colon, control bytes and folding"}
	ErrHost             = &Error{400, "parsing header: want exactly one Host in HTTP/1.1"}
	ErrLength           = &Error{400, "parsing header: Content-Length is no number, or is given twice and differs"}
	ErrLengthAndChunked = &Error{400, "parsing header: both Content-Length and Transfer-Encoding"}
	ErrChunkedTwice     = &Error{400, "parsing header: several Transfer-Encoding, or one in HTTP/1.0"}
	ErrChunk            = &Error{400, "parsing chunked body: want a hexadecimal size, CRLF, as many bytes, CRLF"}
	ErrBodyTooLarge     = &Error{413, "parsing request: body over 1 MiB"}
	ErrHeaderTooLarge   = &Error{431, "parsing request: header over 8 KiB"}
	ErrTransferEncoding = &Error{501, "parsing header: Transfer-Encoding other than chunked"}
	ErrExpectation      = &Error{417, "parsing header: Expect other than 100-continue"}
	ErrVersion          = &Error{505, "parsing request line: version other than HTTP/1.1 and HTTP/1.0"}
)

// The errors of the replies' and the frames' parsers.
var (
	ErrStatusLine  = &Error{0, "parsing reply: want HTTP/1.1 and a status of three digits"}
	ErrReplyField  = &Error{0, "parsing reply: malformed header field"}
	ErrReplyLength = &Error{0, "parsing reply: Content-Length is no number, or is given twice and differs"}
	ErrReplyHeader = &Error{0, "parsing reply: head over 64 KiB"}
	ErrReplyChunk  = &Error{0, "parsing reply: malformed chunked body"}
	ErrFrameLength = &Error{0, "parsing frame: length outside 8 to 1048576"}
	ErrPushLength  = &Error{0, "parsing push frame: length outside 16 to 1048576"}
)

// Bytes that a token (method, header name) and a field value may consist of, RFC 9110 section 5.
var tokenByte, valueByte, targetByte [256]bool

func init() {
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			tokenByte[c] = true
		}
		valueByte[c] = c == '\t' || c >= ' ' && c != 0x7f
		targetByte[c] = c > ' ' && c < 0x7f
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		tokenByte[c] = true
	}
}

func allIn(set *[256]bool, b []byte) bool {
	for _, c := range b {
		if !set[c] {
			return false
		}
	}
	return true
}

// equalFold compares b with lower-case ASCII letters, digits and dashes.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
