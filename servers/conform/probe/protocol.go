package probe

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// replyMax bounds the body of a reply, in bytes: more than any case asks for.
const replyMax = 2 << 20

// FrameMax is the largest length that a frame may announce, by the contract.
const FrameMax = 1 << 20

// WorkBit marks a frame that asks for the work.
const WorkBit = 1 << 63

// Request is what a case sends and the reply it wants.
type Request struct {
	ID   uint64
	Wire []byte
	Want []byte // the body; nil where only its size is known
	Size int    // negative: any
}

// Reply is one whole reply.
type Reply struct {
	ID     uint64 // not in http1
	Status int    // http1 only; 200 elsewhere
	Body   []byte
}

// Protocol writes requests and reads replies. Implementations hold no state and are safe for concurrent use.
type Protocol interface {
	// Plain is a request for the payload, after the work if it asks for it.
	Plain(id uint64, work bool) Request
	// Echo is a request whose reply has the same body.
	Echo(id uint64, body []byte) Request
	// Read reads one reply whose first byte is there; see Receive.
	Read(r *bufio.Reader) (Reply, error)
	// Ordered reports whether replies come in the order of the requests.
	Ordered() bool
}

// Protocols by name; the functions take the size of the payload.
var Protocols = map[string]func(payload int) Protocol{
	"http1": func(n int) Protocol { return http1{n} },
	"frame": func(n int) Protocol { return frame{max(n, 0)} },
	"push":  func(n int) Protocol { return push{n} },
	"ws":    func(n int) Protocol { return websocket{max(n, 0)} },
}

// ProtocolNames lists them for messages.
const ProtocolNames = "http1, frame, push or ws"

var (
	_ Protocol = http1{}
	_ Protocol = frame{}
)

type http1 struct{ payload int }

func (p http1) Plain(id uint64, work bool) Request {
	path := "/"
	if work {
		path = "/work"
	}
	return Request{ID: id, Wire: []byte("GET " + path + " HTTP/1.1\r\nHost: conform\r\n\r\n"), Size: p.payload}
}

func (p http1) Echo(id uint64, body []byte) Request {
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: conform\r\nContent-Length: %d\r\n\r\n", len(body))
	return Request{ID: id, Wire: append([]byte(head), body...), Want: body, Size: len(body)}
}

func (p http1) Read(r *bufio.Reader) (Reply, error) {
	if err := wholeHead(r); err != nil {
		return Reply{}, err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return Reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	var body []byte
	if n := res.ContentLength; n >= 0 && n <= replyMax {
		body = make([]byte, n)
		_, err = io.ReadFull(res.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(res.Body, replyMax+1))
	}
	if err == nil && len(body) > replyMax {
		err = fmt.Errorf("body of more than %d bytes", replyMax)
	}
	return Reply{Status: res.StatusCode, Body: body}, err
}

// wholeHead waits for a reply's head, because the end of the stream within it reads like a malformed field otherwise.
func wholeHead(r *bufio.Reader) error {
	for n := 1; ; n = max(n+1, r.Buffered()) {
		data, err := r.Peek(n)
		if bytes.Contains(data, []byte("\r\n\r\n")) || errors.Is(err, bufio.ErrBufferFull) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (http1) Ordered() bool { return true }

type frame struct{ payload int }

func (p frame) Plain(id uint64, work bool) Request {
	if work {
		id |= WorkBit
	}
	return p.Echo(id, bytes.Repeat([]byte{'x'}, p.payload))
}

func (p frame) Echo(id uint64, body []byte) Request {
	wire := make([]byte, 12, 12+len(body))
	binary.BigEndian.PutUint32(wire, uint32(8+len(body)))
	binary.BigEndian.PutUint64(wire[4:], id)
	return Request{ID: id, Wire: append(wire, body...), Want: body, Size: len(body)}
}

func (p frame) Read(r *bufio.Reader) (Reply, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Reply{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 8 || n > FrameMax {
		return Reply{}, fmt.Errorf("frame with length %d: want 8 to %d", n, FrameMax)
	}
	body := make([]byte, n-8)
	if _, err := io.ReadFull(r, body); err != nil {
		return Reply{}, err
	}
	return Reply{ID: binary.BigEndian.Uint64(head[4:]), Status: http.StatusOK, Body: body}, nil
}

func (frame) Ordered() bool { return false }

// Receive reads one reply: io.EOF or a reset where there is none, io.ErrUnexpectedEOF where it is not whole.
func Receive(p Protocol, r *bufio.Reader) (Reply, error) {
	if _, err := r.Peek(1); err != nil {
		return Reply{}, err
	}
	got, err := p.Read(r)
	if IsClosed(err) && !errors.As(err, new(*CloseError)) {
		err = io.ErrUnexpectedEOF
	}
	return got, err
}

// Check compares a reply with what the request wants.
func (q Request) Check(r Reply) error {
	if r.Status != http.StatusOK {
		return fmt.Errorf("status %d, want 200", r.Status)
	}
	if q.Size >= 0 && len(r.Body) != q.Size {
		return fmt.Errorf("body of %d bytes %.40q, want %d bytes", len(r.Body), r.Body, q.Size)
	}
	if q.Want != nil && !bytes.Equal(r.Body, q.Want) {
		at := 0
		for at < len(r.Body) && r.Body[at] == q.Want[at] {
			at++
		}
		return fmt.Errorf("body differs at byte %d: %.40q, want %.40q", at, r.Body[at:], q.Want[at:])
	}
	return nil
}

// Join is the wire form of several requests after one another.
func Join(requests []Request) []byte {
	var b bytes.Buffer
	for _, q := range requests {
		b.Write(q.Wire)
	}
	return b.Bytes()
}

// Explain turns the errors of reading a reply into words about the server.
func Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrPartial
	case IsClosed(err):
		return ErrClosed
	case IsTimeout(err):
		return ErrSilent
	}
	return fmt.Errorf("malformed reply: %s", strings.TrimPrefix(err.Error(), "malformed "))
}

// The ways in which a reply does not come.
var (
	ErrPartial = errors.New("the connection was closed in the middle of a reply")
	ErrClosed  = errors.New("the connection was closed without a reply")
	ErrSilent  = errors.New("neither a whole reply nor a close in time")
)

// WithoutEcho is the protocol of a server that answers everything with the payload. That is one of http1 only: what is sent in a
// frame or a message is always echoed, and push echoes nothing, so these stay as they are, with all their methods.
func WithoutEcho(p Protocol) Protocol {
	if h, ok := p.(http1); ok {
		return silent{h}
	}
	return p
}

type silent struct{ http1 }

var _ Protocol = silent{}

func (p silent) Echo(id uint64, _ []byte) Request { return p.Plain(id, false) }
