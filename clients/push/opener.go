package push

import (
	"math"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/queue"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/wire"
)

const (
	// reopenGap is the distance in ns at which a shard opens lost connections again, retryGap how long it waits after a connect
	// that failed.
	reopenGap = 1_000_000
	retryGap  = 10_000_000
	// openBatch is how many connections are begun before the next look at what has come.
	openBatch = 4
	// maxConnecting is how many connects of a shard may be under way, so that no listen backlog overflows.
	maxConnecting = 256
	// scanEvery is how often the table is searched for connects that take too long.
	scanEvery = 100_000_000
)

// opener is when a shard's connections are opened.
type opener struct {
	gap         float64 // ns from one connection to the next, over all agents
	next        int     // the first that was never begun
	connecting  int
	broken      queue.Queue // to be opened again
	reopenAt    int64
	nextScan    int64
	firstFailed int64 // when the first connect failed
	lastSource  []int // by endpoint
	near        []bool
}

func newOpener(conns, endpoints int, rate float64) opener {
	o := opener{broken: queue.New(conns), lastSource: make([]int, endpoints), near: make([]bool, endpoints)}
	if rate > 0 {
		o.gap = 1e9 / rate
	}
	return o
}

// openAt is when the next connection is to be opened.
func (s *shard) openAt() int64 {
	at := int64(math.MaxInt64)
	if s.opener.connecting >= maxConnecting {
		return at
	}
	if s.next < len(s.conns) {
		at = s.t0 + int64(float64(s.next*s.stride+s.index)*s.gap)
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
			s.reopenAt = s.now + reopenGap
			s.connect(i)
			continue
		}
		s.next++
		s.connect(int32(s.next - 1))
	}
}

// endpoint is where connection i goes.
func (s *shard) endpoint(i int32) int { return s.e.target.Endpoint(int(i)*s.stride + s.index) }

// connect begins to open connection i, from the next source address that has a port.
func (s *shard) connect(i int32) {
	c, e := &s.conns[i], s.endpoint(i)
	to, last := &s.e.target.Endpoints[e], &s.lastSource[e]
	c.since, c.state = s.now, connecting
	s.opener.connecting++
	buffer := 0
	if c.slow {
		buffer = sys.LeastReceiveBuffer
	}
	var errno syscall.Errno
	for tries := max(len(to.Sources), 1); tries > 0; tries-- {
		var from *sys.Address
		if len(to.Sources) > 0 {
			*last = (*last + 1) % len(to.Sources)
			from = &to.Sources[*last]
		}
		if c.fd, errno = sys.Dial(to.Family, from, &to.Addr, nil, buffer); errno != unix.EADDRNOTAVAIL {
			break
		}
	}
	if errno == 0 || errno == unix.EINPROGRESS {
		c.gen++
		if errno = s.poll.Add(c.fd, i, c.gen); errno == 0 {
			return
		}
	}
	s.refused(i, errno)
}

// opened subscribes on a connection that has opened.
func (s *shard) opened(i int32) {
	c, e := &s.conns[i], s.endpoint(i)
	if s.messages != nil && c.state == connecting {
		s.upgrade(i)
		return
	}
	s.now = procfs.Monotonic()
	s.opener.connecting--
	s.control = s.now
	s.openNow++
	s.rec.Connected(c.since, s.now)
	s.e.opened.Add(1)
	if c.early {
		s.rec.Reopened++
	}
	c.state, c.early, c.frame, c.seq = open, false, wire.PushState{}, sequence{}
	if s.messages != nil {
		s.messages[i] = wire.WSState{}
	}
	if !s.near[e] {
		s.near[e] = true
		if at, near := peer(c.fd); !near {
			s.foreign = at
		}
	}
	// The buffer of a socket that was just opened is empty.
	if n, errno := sys.Send(c.fd, s.e.subscribe[e]); errno != 0 || n < len(s.e.subscribe[e]) {
		s.lose(i, clients.Reset)
		return
	}
	s.subscriptions++
	if c.slow {
		s.slow.subscriptions++
	}
	c.since = s.now
}

// refused ends an attempt to connect.
func (s *shard) refused(i int32, errno syscall.Errno) {
	s.e.lastErr.Store(int64(errno))
	s.unopened(i, clients.ConnectFailureOf(errno))
}

// unopened ends an attempt to connect.
func (s *shard) unopened(i int32, why clients.ConnectFailure) {
	s.e.failed.Add(1)
	s.opener.connecting--
	s.control = s.now
	s.rec.ConnectFailed(why, s.now)
	if s.firstFailed == 0 {
		s.firstFailed = s.now
	}
	s.shut(i)
	s.reopenAt = max(s.reopenAt, s.now+retryGap)
}

// lose ends a connection that should have lived on, and has it opened again.
func (s *shard) lose(i int32, o clients.Outcome) {
	c := &s.conns[i]
	s.openNow--
	if c.slow { // which a server may drop for being so
		s.slow.lost[o]++
		s.slow.ended += c.seq.expected()
	} else {
		s.lost[o]++
		s.rec.Lost++
		s.ended += c.seq.expected()
		if c.seq.seen != 0 {
			c.before = c.seq.last
		}
	}
	c.seq, c.early = sequence{}, true
	s.shut(i)
	s.reopenAt = max(s.reopenAt, s.now)
	s.control = s.now
}

// cutOff ends a connection whose socket has ended, subscribed or not yet.
func (s *shard) cutOff(i int32, o clients.Outcome) {
	if s.conns[i].state == upgrading {
		s.unopened(i, clients.ConnectHandshake)
		return
	}
	s.lose(i, o)
}

func streamOutcome(errno syscall.Errno) clients.Outcome {
	if errno == unix.ETIMEDOUT {
		return clients.Timeout
	}
	return clients.Reset
}

// shut closes a connection's descriptor, and queues it to be opened again.
func (s *shard) shut(i int32) {
	c := &s.conns[i]
	if c.fd >= 0 {
		sys.Close(c.fd)
	}
	c.fd, c.state = -1, closed
	c.gen++
	delete(s.partial, i)
	s.broken.Push(i)
}

// scan ends the connects that have taken too long.
func (s *shard) scan() {
	if s.now < s.nextScan {
		return
	}
	s.nextScan = s.now + scanEvery
	for i := 0; i < s.next && s.opener.connecting > 0; i++ {
		if c := &s.conns[i]; (c.state == connecting || c.state == upgrading) && s.now-c.since > int64(s.e.plan.Scenario.Timeout) {
			s.refused(int32(i), unix.ETIMEDOUT)
		}
	}
}

// peer is the address at the other end of a connection, and whether that is on this host, as far as addresses tell: a unix
// socket, a loopback address, or one of this host's interfaces.
func peer(fd int32) (address string, near bool) {
	name, err := unix.Getpeername(int(fd))
	if err != nil {
		return "an address that could not be read", false
	}
	var ip netip.Addr
	switch a := name.(type) {
	case *unix.SockaddrUnix:
		return a.Name, true
	case *unix.SockaddrInet4:
		ip = netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		ip = netip.AddrFrom16(a.Addr).Unmap()
	}
	if ip.IsLoopback() {
		return ip.String(), true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return ip.String(), false
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(net.IP(ip.AsSlice())) {
			return ip.String(), true
		}
	}
	return ip.String(), false
}
