package kit

import (
	"github.com/gobwas/ws"

	"github.com/millrace/millrace/internal/wire"
	"github.com/millrace/millrace/servers/kit/websocket"
)

// MaxInput is how many bytes of one connection a model must be able to hold for Session: with that many it always makes
// progress.
const MaxInput = max(wire.MaxRequest, wire.MaxFrame, websocket.MaxInput)

// batchBytes is when Serve hands replies over to be written, so that pipelined requests can't pile up replies without
// limit: as much as a socket buffer takes by default.
const batchBytes = 64 << 10

// Session turns the bytes of one connection into replies. It belongs to that connection; calls must not overlap, but may come
// from changing goroutines.
type Session struct {
	env       *Env
	req       wire.Request
	messages  websocket.Reader // ws
	outbox    *Outbox          // of Notify
	speaks    speech
	open      bool // ws: the handshake is done
	continued bool // 100 Continue has been sent for the present request
	closing   bool
}

// NewSession returns the session of a new connection, as a value to be kept in the model's own record of it.
func (e *Env) NewSession() Session { return Session{env: e, speaks: speechOf(e.Protocol)} }

// Serve handles the complete requests at the start of in, does their work on the calling goroutine, appends their replies
// to out in order, and counts them. It returns how many bytes of in it took, and whether the connection is to be closed
// once out is written. Call it again, after writing, with in[n:] until n is zero; then keep the rest and call again with
// more behind it. in is not kept. It returns early, with requests left in in, when out has 64 KiB, and before a request
// that does work, so that replies before it don't wait for it.
func (s *Session) Serve(in, out []byte) (n int, reply []byte, closing bool) {
	var j Job
	handled, bytesIn, bytesOut, begin := 0, 0, 0, len(out)
	for len(out)-begin < batchBytes {
		before := s.messages
		taken, ok := s.Next(in[n:], &j)
		if !ok {
			break
		}
		if j.work && len(out) > begin {
			s.closing, s.messages = false, before // it is parsed again, at the start of the next call
			break
		}
		n += taken
		var size int
		object := s.env.objects.Take(j.body)
		out, size = s.env.answer(&j, out)
		s.env.objects.Release(object)
		if j.counts {
			handled, bytesIn, bytesOut = handled+1, bytesIn+len(j.body), bytesOut+size
		}
	}
	if handled > 0 {
		s.env.Count(handled, bytesIn, bytesOut)
	}
	return n, out, s.closing
}

// Job is one request on its way to a goroutine that answers it.
type Job struct {
	// Last is true where the connection is to be closed after the answer, which may be empty; Next finds no more.
	Last bool

	body    []byte
	own     []byte // memory of Own
	id      uint64
	status  int
	kind    jobKind
	op      ws.OpCode // of a message
	mask    [4]byte   // to be applied to a message's body
	work    bool
	noBody  bool // of the reply: HEAD
	counts  bool
	payload bool
}

type jobKind uint8

const (
	jobHTTP jobKind = iota
	jobFrame
	jobContinue
	jobNothing   // has no reply
	jobRaw       // body is the reply
	jobMessage   // of ws, with op
	jobIDMessage // of ws, binary, with an id
)

// Next takes the first complete request off in into j and returns how many bytes it took; ok false means that there is none
// yet. (ok with n zero is a 100 Continue to be sent.) j refers to in, and to the session until the next Next, until Own is called.
// Answers of http1 and ws must be written in the order of their requests, those of frames in any. A malformed request is a job
// too, with Last; so is what has no answer, such as a fragment of a message, or a subscription, which Next has carried out.
func (s *Session) Next(in []byte, j *Job) (n int, ok bool) {
	if s.closing || len(in) == 0 {
		return 0, false
	}
	*j = Job{own: j.own}
	switch s.speaks {
	case speaksFrame:
		return s.nextFrame(in, j)
	case speaksPush:
		return s.nextPush(in, j)
	case speaksWS:
		return s.nextMessage(in, j)
	}
	n, err := wire.ParseRequest(in, &s.req)
	if err != nil {
		s.closing = true
		*j = Job{own: j.own, Last: true, status: 400, counts: true}
		if e, typed := err.(*wire.Error); typed {
			j.status = e.Status
		}
		j.body = nil
		return len(in), true
	}
	if n == 0 {
		if s.req.Expect && !s.continued {
			s.continued = true
			j.kind = jobContinue
			return 0, true
		}
		return 0, false
	}
	s.continued = false
	s.route(j)
	return n, true
}

// Own copies the body into the job's own memory, which is used again with the job: after it the job no longer refers to the
// connection's buffer.
func (j *Job) Own() {
	j.own = append(j.own[:0], j.body...)
	j.body = j.own
}

// Work reports whether answering the job does the work, and so may block.
func (j *Job) Work() bool { return j.work }

// Answer does the work that j asks for on the calling goroutine, appends the reply to out and counts it.
func (e *Env) Answer(j *Job, out []byte) []byte {
	object := e.objects.Take(j.body)
	out, size := e.answer(j, out)
	e.objects.Release(object)
	if j.counts {
		e.Count(1, len(j.body), size)
	}
	return out
}

// route fills the job from a complete request.
func (s *Session) route(j *Job) {
	r := &s.req
	route, work := RouteOf(r.Method, r.Path())
	j.counts, j.work, j.noBody = true, work && s.env.hasWork(), r.Method == wire.MethodHead
	j.body = r.Body
	r.Target, r.Body = nil, nil // a connection that waits must not keep a buffer that it has given back
	j.Last = r.Close || s.env.Stopping()
	s.closing = j.Last
	switch route {
	case RoutePayload:
		j.status, j.payload = 200, true
	case RouteEcho:
		j.status = 200
	case RouteNotFound:
		j.status = 404
	case RouteNotAllowed:
		j.status = 405
	}
}

func (s *Session) nextFrame(in []byte, j *Job) (n int, ok bool) {
	id, body, n, err := wire.ParseFrame(in)
	if err != nil {
		s.closing = true
		j.kind, j.Last = jobNothing, true
		return len(in), true
	}
	if n == 0 {
		return 0, false
	}
	j.kind, j.id, j.body, j.counts = jobFrame, id, body, true
	j.work = id&wire.FrameWork != 0 && s.env.hasWork()
	return n, true
}

func (e *Env) hasWork() bool { return e.work.some }

// answer appends the reply and returns the size of its body.
func (e *Env) answer(j *Job, out []byte) (reply []byte, size int) {
	if j.work {
		j.unmask() // an upload has what the client meant
	}
	body, status := j.body, j.status
	if j.work && e.DoWork(j.body) != nil {
		body, status = nil, StatusFailed
	}
	switch j.kind {
	case jobNothing:
		return out, 0
	case jobRaw:
		return append(out, body...), 0
	case jobMessage, jobIDMessage:
		return appendMessage(out, j, body), len(body)
	case jobContinue:
		return append(out, wire.Continue...), 0
	case jobFrame:
		return wire.AppendFrame(out, j.id, body), len(body)
	}
	switch {
	case status != 200:
		body = StatusBody(status)
	case j.payload && !j.Last && !j.noBody:
		return append(out, e.reply...), len(e.body)
	case j.payload:
		body = e.body
	}
	if j.noBody {
		return wire.AppendHead(out, status, len(body), j.Last), 0
	}
	return wire.AppendResponse(out, status, body, j.Last), len(body)
}

// StatusFailed is the status of an http1 reply to a request whose work failed. A frame is answered with its id and no body.
const StatusFailed = 502

// StatusBody is the body of a reply that is no 200.
func StatusBody(status int) []byte {
	switch status {
	case 404:
		return []byte("no such path: want / or /work\n")
	case 405:
		return []byte("no such method here: want GET, HEAD or POST\n")
	case StatusFailed:
		return []byte("the downstream failed\n")
	}
	return []byte("malformed request\n")
}
