package reactor

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
)

const (
	// reopenGap is the distance in ns at which a shard opens connections again that were closed without any reply. After a
	// reply one is opened again at once: what a server that closes reaches is not for the client to limit.
	reopenGap = 1_000_000
	// retryGap is how long in ns it waits after a connect that failed.
	retryGap = 10_000_000
)

// opener is when a shard's kept connections are opened.
type opener struct {
	gap         float64 // ns from one connection to the next, over all agents
	from        int64   // when the step under way began to open
	base        int     // connections of all agents that were to be open before it
	total       int     // connections of all agents that are to be open
	goal        int     // of this shard
	next        int     // the first that was never begun
	greet       bool    // each exchanges one request at once
	connecting  int
	reopenAt    int64
	firstFailed int64 // when the first connect failed
	lastSource  []int // by endpoint
}

// want sets how many connections of all agents are to be open, from a time on.
func (s *shard) want(total int, from int64, greet bool) {
	if total <= s.total {
		return
	}
	s.base, s.total, s.from, s.greet = s.total, total, from, greet
	more := clients.Share(total, s.index, s.stride) - s.goal
	s.goal += more
	s.rec.Wanted += int64(more)
}

// openAt is when the next connection is to be opened.
func (s *shard) openAt() int64 {
	at := int64(math.MaxInt64)
	if s.connecting >= maxConnecting {
		return at
	}
	if s.next < s.goal {
		n := s.next*s.stride + s.index - s.base
		at = s.from + int64(float64(max(n, 0))*s.gap)
	}
	if s.broken.Len() > 0 {
		at = min(at, s.reopenAt)
	}
	return at
}

// openMore opens what is due, up to openBatch.
func (s *shard) openMore() {
	for n := 0; n < openBatch && s.openAt() <= s.now; n++ {
		if s.broken.Len() > 0 && s.reopenAt <= s.now {
			i := s.broken.Pop()
			if !s.conns[i].answered {
				s.reopenAt = s.now + reopenGap
			}
			s.conns[i].answered = false
			s.connect(i)
			continue
		}
		i := int32(s.next)
		s.next++
		s.conns[i].first = s.greet
		s.connect(i)
	}
}

// openFor opens a connection for the request that is due.
func (s *shard) openFor(i int32) {
	s.now = procfs.Monotonic()
	sl := s.arrive(i, s.now, 0)
	s.rec.Sent(sl.cell, sl.intended, s.conns[i].freeAt, s.now)
	s.connect(i)
}

// connect begins to open connection i.
func (s *shard) connect(i int32) {
	c := &s.conns[i]
	c.since, c.state = s.now, connecting
	s.connecting++
	fd, errno := s.dial(s.endpoint(i))
	if errno == 0 || errno == unix.EINPROGRESS {
		c.fd = fd
		c.gen++
		if bad := s.io.watch(i); bad != 0 {
			errno = bad
		}
	}
	if errno != 0 && errno != unix.EINPROGRESS {
		s.refused(i, errno)
	}
}

// dial begins a connection to an endpoint from the next source address that has a port. A connection over loopback may be
// open at once; the event of its registration tells.
func (s *shard) dial(endpoint int) (fd int32, errno syscall.Errno) {
	to, last := &s.target.Endpoints[endpoint], &s.lastSource[endpoint]
	for tries := max(len(to.Sources), 1); tries > 0; tries-- {
		var from *sys.Address
		if len(to.Sources) > 0 {
			*last = (*last + 1) % len(to.Sources)
			from = &to.Sources[*last]
		}
		if fd, errno = sys.Dial(to.Family, from, &to.Addr, s.e.congest, 0); errno != unix.EADDRNOTAVAIL {
			break
		}
	}
	return fd, errno
}

// opened takes a connection that has opened into use.
func (s *shard) opened(i int32) {
	c := &s.conns[i]
	if s.messages != nil && c.state == connecting {
		s.upgrade(i)
		return
	}
	s.now = procfs.Monotonic()
	s.connecting--
	s.control = s.now
	s.openNow++
	s.rec.Connected(c.since, s.now)
	if s.start == math.MaxInt64 {
		s.e.lastOpen.Store(s.now)
	}
	if s.e.opened.Add(1) == 1 {
		name := sys.Congestion(c.fd)
		s.e.congestion.Store(&name)
	}
	c.state, c.freeAt = open, s.now
	s.afresh(i)
	if c.early {
		s.rec.Reopened++
	} else if s.requests > 0 {
		s.rec.Wanted++
	}
	if c.renewing {
		s.rec.Wanted++
		s.rec.Renewed++
	}
	c.early, c.renewing = false, false
	switch {
	case c.flying > 0:
		s.flushFirst(i)
	case c.first:
		c.first = false
		s.sendOwn(i)
	}
	s.offer(i)
}

// refused ends an attempt to connect with an error of the socket.
func (s *shard) refused(i int32, errno syscall.Errno) {
	s.e.lastErr.Store(int64(errno))
	why := clients.ConnectFailureOf(errno)
	s.unopened(i, why, why.Outcome())
}

// unopened ends an attempt to connect.
func (s *shard) unopened(i int32, why clients.ConnectFailure, o clients.Outcome) {
	s.connecting--
	s.control = s.now
	s.rec.ConnectFailed(why, s.now)
	s.e.failed.Add(1)
	if s.firstFailed == 0 {
		s.firstFailed = s.now
	}
	s.endAll(i, o)
	s.shut(i, false)
	if s.requests > 0 {
		s.idle.Push(i)
		return
	}
	s.broken.Push(i)
	s.reopenAt = max(s.reopenAt, s.now+retryGap)
}

// lose ends a connection that should have lived on. Its requests in flight get the outcome and are not tried again.
func (s *shard) lose(i int32, o clients.Outcome) {
	c := &s.conns[i]
	c.answered = c.sent > uint32(c.flying)
	s.openNow--
	s.rec.Lost++
	s.endAll(i, o)
	s.shut(i, o == clients.Timeout || o == clients.ProtocolError)
	s.conns[i].early, s.conns[i].renewing = true, false
	if s.requests > 0 {
		s.idle.Push(i)
		return
	}
	s.broken.Push(i)
	s.reopenAt = max(s.reopenAt, s.now)
	s.control = s.now
}

// retire ends a connection after its last request, as the plan says.
func (s *shard) retire(i int32) {
	if s.policy == "fin-server" {
		s.conns[i].state, s.conns[i].since = closing, s.now
		return
	}
	if s.messages != nil && s.policy != "rst" && s.conns[i].pending < 0 {
		s.farewell(i)
		return
	}
	s.openNow--
	s.shut(i, s.policy == "rst")
	s.idle.Push(i)
}

// ended takes note that a server has closed a connection that was to be closed, or has not in time.
func (s *shard) ended(i int32) {
	c := &s.conns[i]
	if c.renewing && c.flying == 0 {
		s.anew(i)
		return
	}
	if s.requests == 0 || int(c.sent) < s.requests || c.flying > 0 {
		s.lose(i, clients.EOF)
		return
	}
	s.openNow--
	s.shut(i, false)
	s.idle.Push(i)
}

// shut closes a connection's descriptor.
func (s *shard) shut(i int32, reset bool) {
	c := &s.conns[i]
	if c.fd >= 0 {
		s.io.close(i, reset)
	}
	c.fd, c.state, c.sent, c.head, c.freeAt = -1, closed, 0, 0, s.now
	c.gen++
	delete(s.partial, i)
	delete(s.owed, i)
}

// endAll gives every request of a connection the same outcome.
func (s *shard) endAll(i int32, o clients.Outcome) {
	c := &s.conns[i]
	if c.flying == 0 {
		return
	}
	slots := s.slotsOf(i)
	for j := range slots {
		if sl := &slots[j]; sl.begun != 0 {
			s.record(sl, o)
		}
	}
	c.flying = 0
}
