package wire

import "bytes"

// Method is a request's method, as far as the servers tell them apart.
type Method uint8

// The methods.
const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
)

// MethodOf is the method of that name, which is case-sensitive.
func MethodOf[T string | []byte](name T) Method {
	switch string(name) {
	case "GET":
		return MethodGet
	case "HEAD":
		return MethodHead
	case "POST":
		return MethodPost
	}
	return MethodOther
}

// Request is one HTTP/1.1 request, and how far ParseRequest has got in one that is incomplete. The zero value is ready.
// Target and Body are slices of the parsed buffer (Body of a chunked request: of the Request's own memory) and valid
// until that buffer changes or the next ParseRequest with the same Request.
type Request struct {
	Target []byte
	Body   []byte
	Method Method
	// Close is true where the connection ends with the reply: Connection: close, or HTTP/1.0, whose keep-alive is not
	// offered.
	Close bool
	// HTTP10 is true for HTTP/1.0.
	HTTP10 bool
	// Expect is true from the end of the header on where the client waits for "100 Continue" before it sends the body.
	Expect bool

	phase      phase
	hosts      uint8
	chunked    bool
	hasLength  bool
	targetFrom uint16 // Target's place in the buffer, below MaxHeader
	targetTo   uint16
	start      int    // of the request line, behind an ignored blank line
	pos        int    // bytes understood
	scan       int    // bytes searched for the end of the line that begins at pos
	length     int    // of the body, or what is left of the chunk
	scratch    []byte // the body without its chunks
}

// phase is what ParseRequest expects next.
type phase uint8

const (
	phaseStart phase = iota // request line, a blank line before it is ignored
	phaseLine               // request line
	phaseFields
	phaseBody
	phaseChunkLine
	phaseChunk
	phaseChunkEnd
	phaseTrailer
	phaseDone
)

// keptScratch is how much of a chunked body's memory a Request keeps for the next one.
const keptScratch = 64 << 10

// Work reports whether the request asks for the server's work: its path is /work.
func (r *Request) Work() bool { return string(r.Path()) == "/work" }

// Path is the target without scheme, authority and query.
func (r *Request) Path() []byte {
	p := r.Target
	if len(p) > 0 && p[0] != '/' {
		rest, found := bytes.CutPrefix(p, []byte("http://"))
		if !found {
			return p
		}
		i := bytes.IndexByte(rest, '/')
		if i < 0 {
			return []byte("/")
		}
		p = rest[i:]
	}
	if i := bytes.IndexByte(p, '?'); i >= 0 {
		p = p[:i]
	}
	return p
}

// ParseRequest reads one request from the start of buf and returns how many bytes it took. Zero without an error means
// that the request is incomplete: call it again with the same Request and the same bytes, more behind them, and it goes on
// where it stopped, so that the cost is linear in the size of the request however it arrives. A Request that was left
// incomplete belongs to that connection. Errors are of type *Error; after one the Request is ready for another connection.
//
// Lines end in CRLF, a bare LF is an error. One blank line before a request is ignored. Chunk extensions and trailers are
// read and dropped.
func ParseRequest(buf []byte, r *Request) (n int, err error) {
	if r.phase == phaseDone {
		r.Reset()
	}
	if e := r.parse(buf); e != nil {
		r.Reset()
		return 0, e
	}
	if r.phase > phaseFields {
		r.Target = buf[r.targetFrom:r.targetTo]
	}
	if r.phase != phaseDone {
		return 0, nil
	}
	return r.pos, nil
}

// Reset forgets an incomplete request.
func (r *Request) Reset() {
	scratch := r.scratch[:0]
	if cap(scratch) > keptScratch {
		scratch = nil
	}
	*r = Request{scratch: scratch}
}

func (r *Request) parse(buf []byte) *Error {
	for r.phase <= phaseFields {
		line, whole, err := r.line(buf, r.start+MaxHeader, ErrHeaderTooLarge)
		if err != nil || !whole {
			return err
		}
		switch {
		case r.phase == phaseFields && len(line) > 0:
			err = r.field(line)
		case r.phase == phaseFields:
			err = r.endHeader()
		case r.phase == phaseStart && len(line) == 0:
			r.phase, r.start = phaseLine, r.pos
		default:
			err = r.requestLine(line, r.pos-len(line)-2)
		}
		if err != nil {
			return err
		}
	}
	if r.phase == phaseBody {
		if len(buf)-r.pos < r.length {
			return nil
		}
		r.Body = buf[r.pos : r.pos+r.length]
		r.pos += r.length
		r.phase = phaseDone
	}
	if r.phase == phaseDone {
		return nil
	}
	return r.chunks(buf)
}

// line returns the next line without its end, or whole false where it is incomplete. It ends at most at limit.
func (r *Request) line(buf []byte, limit int, tooLong *Error) (line []byte, whole bool, err *Error) {
	i := bytes.IndexByte(buf[r.scan:], '\n')
	if i < 0 {
		r.scan = len(buf)
		if r.scan > limit {
			return nil, false, tooLong
		}
		return nil, false, nil
	}
	end := r.scan + i
	if end >= limit {
		return nil, false, tooLong
	}
	if end == r.pos || buf[end-1] != '\r' {
		return nil, false, ErrBareLF
	}
	line = buf[r.pos : end-1]
	r.pos, r.scan = end+1, end+1
	return line, true, nil
}

// requestLine reads the line that begins at offset at of the buffer.
func (r *Request) requestLine(line []byte, at int) *Error {
	i := bytes.IndexByte(line, ' ')
	j := len(line) - len(" HTTP/1.1")
	if i <= 0 || j <= i || line[j] != ' ' || !allIn(&tokenByte, line[:i]) || !allIn(&targetByte, line[i+1:j]) {
		return ErrRequestLine
	}
	target := line[i+1 : j]
	if len(target) == 0 || target[0] != '/' && string(target) != "*" && !bytes.HasPrefix(target, []byte("http://")) {
		return ErrRequestLine
	}
	switch string(line[j+1:]) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		r.HTTP10, r.Close = true, true
	default:
		v := line[j+1:]
		if string(v[:5]) == "HTTP/" && v[6] == '.' && isDigit(v[5]) && isDigit(v[7]) {
			return ErrVersion
		}
		return ErrRequestLine
	}
	r.Method = MethodOf(line[:i])
	r.targetFrom, r.targetTo = uint16(at+i+1), uint16(at+j)
	r.phase = phaseFields
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (r *Request) field(line []byte) *Error {
	i := bytes.IndexByte(line, ':')
	if i <= 0 || !allIn(&tokenByte, line[:i]) || !allIn(&valueByte, line[i+1:]) {
		return ErrField
	}
	name := line[:i]
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") && r.hosts < 2 {
			r.hosts++
		}
	case len("expect"):
		if equalFold(name, "expect") {
			if !equalFold(trimBlanks(line[i+1:]), "100-continue") {
				return ErrExpectation
			}
			r.Expect = true
		}
	case len("connection"):
		if equalFold(name, "connection") && hasToken(line[i+1:], "close") {
			r.Close = true
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			return r.contentLength(trimBlanks(line[i+1:]))
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			return r.transferEncoding(trimBlanks(line[i+1:]))
		}
	}
	return nil
}

func (r *Request) contentLength(value []byte) *Error {
	v, ok := parseDecimal(value)
	if !ok || r.hasLength && v != r.length {
		return ErrLength
	}
	r.length, r.hasLength = v, true
	return nil
}

func (r *Request) transferEncoding(value []byte) *Error {
	if r.chunked || r.HTTP10 {
		return ErrChunkedTwice
	}
	if !equalFold(value, "chunked") {
		return ErrTransferEncoding
	}
	r.chunked = true
	return nil
}

// endHeader decides, at the blank line, how the body is framed.
func (r *Request) endHeader() *Error {
	switch {
	case r.hosts > 1 || r.hosts == 0 && !r.HTTP10:
		return ErrHost
	case r.chunked && r.hasLength:
		return ErrLengthAndChunked
	case r.length > MaxBody:
		return ErrBodyTooLarge
	case r.chunked:
		r.phase = phaseChunkLine
	default:
		r.phase = phaseBody
	}
	r.Expect = r.Expect && !r.HTTP10 && (r.chunked || r.length > 0)
	return nil
}

// hasToken reports whether a comma-separated list holds the lower-case token.
func hasToken(list []byte, token string) bool {
	for len(list) > 0 {
		item := list
		if i := bytes.IndexByte(list, ','); i >= 0 {
			item, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		if equalFold(trimBlanks(item), token) {
			return true
		}
	}
	return false
}

// parseDecimal reads digits alone. What is over any limit of this package saturates at a value that is over it too.
func parseDecimal(b []byte) (v int, ok bool) {
	const over = 1 << 40
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		v = min(v*10+int(c-'0'), over)
	}
	return v, len(b) > 0
}
