package reactor

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/reactor/target"
	"github.com/millrace/millrace/clients/secure"
	"github.com/millrace/millrace/internal/hist"
	"github.com/millrace/millrace/internal/procfs"
)

// plainBuffer is the most that one TLS record carries.
const plainBuffer = 16 << 10

// secureName is the engine's in clients.Engines and in reports.
const secureName = "tls"

// newSecurity returns what the connections of a plan have in common, nil where they are plain. Only an https URL goes with
// engine tls, and the other way round.
func newSecurity(p *clients.Plan, t *target.Target, shards int) (*secure.Client, error) {
	switch {
	case t.HTTPS != (p.Engine == secureName):
		return nil, fmt.Errorf("URL %s with engine %s: want engine tls for https://, and epoll for http:// and frame://", p.URL, p.Engine)
	case !t.HTTPS && p.TLS != nil:
		return nil, fmt.Errorf("URL %s with options of TLS: want https://", p.URL)
	case !t.HTTPS:
		return nil, nil
	}
	return secure.NewClient(p.TLS, t.Host, shards)
}

// secureTransport is the transport of engine tls: the one on epoll with a TLS session between each socket and the shard.
// To the shard a connection opens when its handshake is done.
type secureTransport struct {
	epollTransport
	client   *secure.Client
	sessions []*secure.Session // by connection; nil before its socket is open
	plain    []byte
	out      []byte // what sessions have to say
	tally    secure.Tally
}

var _ transport = (*secureTransport)(nil)

func newSecureTransport(s *shard, client *secure.Client) (*secureTransport, error) {
	t, err := newEpollTransport(s)
	if err != nil {
		return nil, err
	}
	return &secureTransport{epollTransport: *t, client: client, sessions: make([]*secure.Session, len(s.conns)), plain: make([]byte, plainBuffer)}, nil
}

func (t *secureTransport) write(i int32, b []byte, _ bool) {
	if err := t.sessions[i].Seal(b); err != nil {
		t.broken(i, err)
		return
	}
	t.push(i)
}

// push writes what the session of connection i has to say, or keeps it behind what is pending.
func (t *secureTransport) push(i int32) {
	out := t.out
	t.out = t.out[:0]
	switch k := t.s.conns[i].pending; {
	case len(out) == 0:
	case k >= 0:
		t.unsent[k] = append(t.unsent[k], out...)
	default:
		t.epollTransport.write(i, out, false)
	}
}

func (t *secureTransport) close(i int32, reset bool) {
	s := t.sessions[i]
	if s == nil {
		t.epollTransport.close(i, reset)
		return
	}
	t.sessions[i] = nil
	// Behind half a record nothing makes sense.
	s.Close(reset || t.s.conns[i].pending >= 0)
	t.drop(i)
}

func (t *secureTransport) free() {
	t.client.Wait()
	t.epollTransport.free()
}

func (t *secureTransport) handle(k int) {
	ev := &t.poll.Events[k]
	i, gen, events := ev.Fd, uint32(ev.Pad), ev.Events
	c := &t.s.conns[i]
	s := t.sessions[i]
	const ending = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	switch {
	case c.gen != gen || c.fd < 0:
	case c.state == connecting && s == nil:
		t.connected(i, events)
	case c.state == connecting && !s.Settled():
		s.Wake()
	case c.state == connecting:
		t.settled(i, s)
	default:
		if events&unix.EPOLLOUT != 0 && c.pending >= 0 {
			t.flush(i)
		}
		if events&(unix.EPOLLIN|ending) != 0 && c.gen == gen {
			t.receive(i, events&ending != 0)
		}
	}
}

// connected begins the handshake, once the socket is open.
func (t *secureTransport) connected(i int32, events uint32) {
	c := &t.s.conns[i]
	switch {
	case events&(unix.EPOLLERR|unix.EPOLLHUP) != 0:
		errno := sys.SocketError(c.fd)
		if errno == 0 {
			errno = unix.ECONNRESET
		}
		t.s.refused(i, errno)
	case events&unix.EPOLLOUT != 0:
		fd, gen := c.fd, c.gen
		t.sessions[i] = t.client.Start(fd, &t.out, func() {
			// Of a socket that is open and registered this can't fail.
			_ = t.poll.Again(fd, i, gen)
		})
	}
}

// settled takes a connection into use, or not, as its handshake ended.
func (t *secureTransport) settled(i int32, s *secure.Session) {
	c := &t.s.conns[i]
	if f := s.Failure(); f != nil {
		t.tally.LastError = f.Error()
		if f.Errno != 0 {
			t.s.refused(i, f.Errno)
			return
		}
		t.s.now = procfs.Monotonic()
		t.s.unsecured(i, f)
		return
	}
	t.tally.Count(s)
	gen := c.gen
	t.s.opened(i)
	// What came behind the handshake may have been read with it.
	if c.gen == gen && t.decrypt(i, nil) {
		t.receive(i, true)
	}
}

// unsecured ends an attempt to connect that got no further than TCP. A certificate that is refused at the very first will be
// so for ever.
func (s *shard) unsecured(i int32, f *secure.Failure) {
	s.e.unsecured.Store(f)
	if f.Certificate && s.e.opened.Load() == 0 {
		s.e.giveUp.Store(true)
	}
	s.unopened(i, clients.ConnectHandshake, f.Outcome)
}

// receive reads what has arrived, like the transport on epoll.
func (t *secureTransport) receive(i int32, ending bool) {
	for {
		n, errno := t.read(i)
		switch {
		case errno == unix.EAGAIN:
			return
		case errno == unix.EINTR:
			continue
		}
		t.s.now = procfs.Monotonic()
		switch {
		case errno != 0:
			t.s.failed(i, errno)
			return
		case n == 0:
			t.truncated(i)
			return
		}
		if !t.decrypt(i, t.buf[:n]) || n < len(t.buf) && !ending {
			return
		}
	}
}

// decrypt hands the shard what bytes from the socket say. It returns false if the connection is over.
func (t *secureTransport) decrypt(i int32, b []byte) bool {
	c, s := &t.s.conns[i], t.sessions[i]
	gen := c.gen
	s.Feed(b)
	for {
		n, err := s.Next(t.plain)
		if n > 0 {
			t.s.now = procfs.Monotonic() // decrypting took its time
			t.s.arrived(i, t.plain[:n])
		}
		if c.gen == gen && len(t.out) > 0 {
			t.s.stamps.count, t.s.stamps.last = 0, t.s.now // this is no request
			t.push(i)
		}
		switch {
		case c.gen != gen:
			return false
		case err == nil:
		case err == secure.ErrMore:
			return true
		case err == io.EOF:
			t.s.eof(i)
			return false
		default:
			t.broken(i, err)
			return false
		}
	}
}

// truncated ends a connection that the server has closed without ending TLS: a reply that would end with the connection
// may have been cut off by anyone (RFC 9112, 9.8).
func (t *secureTransport) truncated(i int32) {
	t.sessions[i].Ended()
	if t.s.conns[i].state == closing {
		t.s.ended(i)
		return
	}
	t.s.lose(i, clients.EOF)
}

// broken ends a connection on which TLS makes no sense any more, or whose server sent an alert.
func (t *secureTransport) broken(i int32, err error) {
	t.tally.LastError = err.Error()
	t.out = t.out[:0]
	if t.s.conns[i].state == closing {
		t.s.ended(i)
		return
	}
	t.s.lose(i, clients.ProtocolError)
}

// secureReport is what all shards agreed on with the server.
func secureReport(client *secure.Client, shards []*shard) (*clients.TLSReport, *hist.Histogram) {
	var tallies []*secure.Tally
	for _, s := range shards {
		tallies = append(tallies, &s.io.(*secureTransport).tally)
	}
	return client.Report(tallies)
}
