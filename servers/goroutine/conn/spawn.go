package conn

import (
	"net"
	"sync"

	"github.com/millrace/millrace/servers/kit"
)

// What requests of one connection may be under way at once. Beyond it the connection is not read from.
const (
	spawnedMost  = 1 << 16  // requests, so that some hundred connections can bring a million goroutines
	spawnedBytes = 16 << 20 // of their bytes
)

// spawner is a connection with a goroutine for every request, which answers it and writes the reply. Nothing is used again.
type spawner struct {
	env *kit.Env
	c   *net.TCPConn
	// ordered: replies go out in the order of the requests, although these are answered at the same time.
	ordered bool

	mu       sync.Mutex // guards what follows
	less     sync.Cond  // said when a request is done
	requests int        // under way
	bytes    int        // of them
}

// Spawn reads in one goroutine and starts another for every request. Replies to frames go out as they are ready.
func Spawn(env *kit.Env, c *net.TCPConn) {
	s := &spawner{env: env, c: c, ordered: env.Protocol == "http1" || env.Protocol == "ws"}
	s.less.L = &s.mu
	session, in := env.NewSession(), kit.NewInput()
	if env.Pushes() {
		p := startPusher(c, &session)
		defer p.end()
	}
	turn := make(chan struct{}) // closed when the reply before is written
	close(turn)
	job := new(kit.Job)
	for last := false; !last && in.Read(c) == nil; {
		for more := true; more && !last; {
			var n int
			n, more = session.Next(in.Bytes(), job)
			if !more {
				in.Take(n)
				break
			}
			job.Own()
			in.Take(n)
			last = job.Last
			s.begin(n)
			done := make(chan struct{})
			go s.answer(job, n, turn, done)
			turn, job = done, new(kit.Job)
		}
	}
	s.mu.Lock()
	for s.requests > 0 {
		s.less.Wait()
	}
	s.mu.Unlock()
}

// begin counts a request of n bytes, once there is room for it.
func (s *spawner) begin(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.requests >= spawnedMost || s.bytes > spawnedBytes {
		s.less.Wait()
	}
	s.requests++
	s.bytes += n
}

// answer answers a request of n bytes.
func (s *spawner) answer(job *kit.Job, n int, turn <-chan struct{}, done chan<- struct{}) {
	out := s.env.Answer(job, nil)
	if s.ordered {
		<-turn
	}
	if len(out) > 0 {
		write(s.c, out)
	}
	close(done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests--
	s.bytes -= n
	s.less.Signal()
}
