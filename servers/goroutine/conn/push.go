package conn

import (
	"net"
	"time"

	"github.com/millrace/millrace/servers/kit"
)

// lastFrames is how long the end of a connection waits for frames that the socket has not taken whole.
const lastFrames = 100 * time.Millisecond

// pusher writes what the server sends on its own to one connection. Writes of whole frames and whole replies don't mix: net lets
// one write at a time through.
type pusher struct {
	c       *net.TCPConn
	session *kit.Session
	kick    chan struct{} // holds one, where frames wait
	stop    chan struct{} // closed at the end
	stopped chan struct{} // closed when nothing more is written
	out     []byte
}

// newPusher makes one whose frames the caller writes, with write.
func newPusher(c *net.TCPConn, session *kit.Session) *pusher {
	p := &pusher{c: c, session: session, kick: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	session.Notify(func() {
		if session.Overflowed() {
			c.SetWriteDeadline(time.Unix(1, 0)) // ends the write under way
		}
		select {
		case p.kick <- struct{}{}:
		default:
		}
	})
	return p
}

// startPusher makes one with a goroutine that writes the frames. End it.
func startPusher(c *net.TCPConn, session *kit.Session) *pusher {
	p := newPusher(c, session)
	go func() {
		defer close(p.stopped)
		for {
			select {
			case <-p.kick:
				p.write()
			case <-p.stop:
				return
			}
		}
	}()
	return p
}

// end ends the subscription, and waits for the write that is under way.
func (p *pusher) end() {
	p.session.End()
	p.c.SetWriteDeadline(time.Now().Add(lastFrames))
	close(p.stop)
	<-p.stopped
}

// write writes the frames that wait. An error, or a subscriber that is too slow, ends the reading too.
func (p *pusher) write() {
	for more, closing := true, false; more && !closing; {
		p.out, more, closing = p.session.Pushed(p.out[:0])
		if len(p.out) > 0 && !write(p.c, p.out) {
			return
		}
		if closing {
			p.c.CloseRead()
		}
	}
	if cap(p.out) > kit.KeptBytes {
		p.out = nil
	}
}

// halfPushed is Half, and a second goroutine that writes what the server pushes.
func halfPushed(env *kit.Env, c *net.TCPConn) {
	session, in := env.NewSession(), kit.NewInput()
	p := startPusher(c, &session)
	defer p.end()
	var out []byte
	for in.Read(c) == nil && answer(c, &session, &in, &out) {
	}
}

// duplexPushed is Duplex, whose writer writes what the server pushes as well.
func duplexPushed(env *kit.Env, c *net.TCPConn) {
	session := env.NewSession()
	queue := make(chan *[]byte, replies)
	p := newPusher(c, &session)
	go func() {
		defer close(p.stopped)
		for queued := (<-chan *[]byte)(queue); queued != nil; {
			select {
			case b, ok := <-queued:
				if !ok {
					queued = nil
					break
				}
				write(c, *b)
				if cap(*b) <= kit.KeptBytes {
					buffers.Put(b)
				}
			case <-p.kick:
				p.write()
			}
		}
	}()
	readAll(c, &session, queue)
	session.End()
	<-p.stopped
}
