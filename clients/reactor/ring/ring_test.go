package ring

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const limit = 5 * time.Second

// start returns a ring that belongs to the test's thread.
func start(tb testing.TB, c Config) *Ring {
	tb.Helper()
	if err := Probe(); err != nil {
		tb.Skip(err)
	}
	runtime.LockOSThread()
	r, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	if err := r.Start(); err != nil {
		tb.Fatal(err)
	}
	return r
}

var small = Config{Submissions: 16, Completions: 32, Buffers: 4, BufferSize: 4096}

// pinned returns bytes that can be sent.
func pinned(tb testing.TB, b []byte) []byte {
	var p runtime.Pinner
	p.Pin(&b[0])
	tb.Cleanup(p.Unpin)
	return b
}

// next waits for a completion.
func next(tb testing.TB, r *Ring) Completion {
	tb.Helper()
	for end := time.Now().Add(limit); r.Ready() == 0; {
		if errno := r.Wait(1, 0, 10e6); errno != 0 {
			tb.Fatalf("waiting: %v", errno)
		}
		if time.Now().After(end) {
			tb.Fatal("no completion came")
		}
	}
	c := r.Completion(0)
	r.Release(1)
	return c
}

// pair is a connection over loopback: the ring's end and the test's.
func pair(tb testing.TB) (fd int32, peer *net.TCPConn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = unix.Close(sock) })
	to := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(sock, to); err != nil && err != unix.EINPROGRESS {
		tb.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return int32(sock), c.(*net.TCPConn)
}

func must[T any](tb testing.TB) func(T, error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func TestExchange(t *testing.T) {
	r := start(t, small)
	fd, peer := pair(t)
	r.Poll(fd, unix.POLLOUT, 1)
	if c := next(t, r); c.Data != 1 || c.Res&unix.POLLOUT == 0 {
		t.Fatalf("poll of a connected socket: %+v", c)
	}
	r.Receive(fd, 2)
	r.Send(fd, pinned(t, []byte("question")), 3)
	if c := next(t, r); c.Data != 3 || c.Res != 8 {
		t.Fatalf("send: %+v", c)
	}
	got := make([]byte, 8)
	must[int](t)(peer.Read(got))
	if string(got) != "question" {
		t.Errorf("the peer read %q", got)
	}
	for range 3 { // one receive for all
		must[int](t)(peer.Write([]byte("answer")))
		c := next(t, r)
		if b := r.Take(c); c.Data != 2 || string(b) != "answer" || !c.More() {
			t.Errorf("receive: %+v %q", c, b)
		}
		r.Recycle(c)
	}
	_ = peer.CloseWrite()
	if c := next(t, r); c.Data != 2 || c.Res != 0 || c.More() || r.Take(c) != nil {
		t.Errorf("end of stream: %+v", c)
	}
}

func TestReceiveOnce(t *testing.T) {
	r := start(t, small)
	fd, peer := pair(t)
	r.ReceiveOnce(fd, 7)
	must[int](t)(peer.Write([]byte("answer")))
	c := next(t, r)
	if b := r.Take(c); string(b) != "answer" || c.More() {
		t.Errorf("receive: %+v %q", c, b)
	}
}

// TestWatch: every event of a socket has a completion of its own, though nothing is read between them.
func TestWatch(t *testing.T) {
	r := start(t, small)
	fd, peer := pair(t)
	r.Watch(fd, unix.POLLIN|unix.POLLRDHUP, 7)
	for range 3 {
		must[int](t)(peer.Write([]byte("x")))
		if c := next(t, r); c.Data != 7 || c.Res&unix.POLLIN == 0 || !c.More() {
			t.Errorf("something to read: %+v", c)
		}
		if r.Wait(1, 0, 0); r.Ready() != 0 {
			t.Errorf("%d completions of nothing new", r.Ready())
		}
	}
	_ = peer.Close()
	if c := next(t, r); c.Res&unix.POLLRDHUP == 0 {
		t.Errorf("the end of the stream: %+v", c)
	}
	r.Cancel(7, 8)
	seen := map[uint64]Completion{}
	for len(seen) < 2 {
		c := next(t, r)
		seen[c.Data] = c
	}
	if seen[7].Errno() != unix.ECANCELED || seen[7].More() || seen[8].Res != 1 {
		t.Errorf("cancelling: %+v", seen)
	}
}

func TestResetAndRefusedAreErrors(t *testing.T) {
	r := start(t, small)
	fd, peer := pair(t)
	r.Receive(fd, 1)
	_ = peer.SetLinger(0)
	_ = peer.Close()
	if c := next(t, r); c.Errno() != unix.ECONNRESET || c.More() {
		t.Errorf("receive of a reset connection: %+v", c)
	}
	b := pinned(t, []byte("x"))
	r.Send(fd, b, 2)
	if c := next(t, r); c.Errno() != unix.EPIPE {
		t.Errorf("send on a reset connection: %+v", c)
	}
	r.Send(-1, b, 3)
	if c := next(t, r); c.Errno() != unix.EBADF {
		t.Errorf("send on no socket: %+v", c)
	}
}

// TestSendIsWhole: a send that finds the socket full waits for room, and tells only when all has gone.
func TestSendIsWhole(t *testing.T) {
	r := start(t, small)
	fd, peer := pair(t)
	_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10)
	sum := func(b []byte) [32]byte { return sha256.Sum256(b) }
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	r.Send(fd, pinned(t, b), 1)
	if errno := r.Submit(); errno != 0 || r.Ready() > 0 {
		t.Fatalf("submitting: %v, %d completions: want none before the peer reads", errno, r.Ready())
	}
	read := make(chan []byte)
	go func() {
		got := make([]byte, len(b))
		for n := 0; n < len(got); {
			m, err := peer.Read(got[n:])
			if err != nil {
				got = got[:n]
				break
			}
			n += m
		}
		read <- got
	}()
	if c := next(t, r); c.Res != int32(len(b)) {
		t.Errorf("send of %d bytes: %+v", len(b), c)
	}
	if got := <-read; sum(got) != sum(b) {
		t.Error("the peer read something else")
	}
}

// TestBuffersComeBack: far more is received than there are buffers, in messages that don't fit them evenly; what was
// not recycled is not overwritten, and the lack of buffers is an error that ends the receive.
func TestBuffersComeBack(t *testing.T) {
	r := start(t, small)
	fd, peer := pair(t)
	want := make([]byte, 40*small.Buffers*small.BufferSize)
	for i := range want {
		want[i] = byte(i*7 + i/251)
	}
	go func() {
		for b := want; len(b) > 0; {
			n := min(len(b), 1000)
			_, _ = peer.Write(b[:n])
			b = b[n:]
		}
		_ = peer.CloseWrite()
	}()
	var got []byte
	var held []Completion
	var bytesOf [][]byte
	recycle := func() {
		for k, c := range held {
			got = append(got, bytesOf[k]...)
			r.Recycle(c)
		}
		held, bytesOf = nil, nil
	}
	short := 0
	for r.Receive(fd, 1); ; {
		c := next(t, r)
		switch {
		case c.Errno() == unix.ENOBUFS:
			if short++; len(held) == 0 {
				t.Fatal("no buffers, though all were recycled")
			}
		case c.Errno() != 0:
			t.Fatalf("receiving: %v", c.Errno())
		case c.Res == 0:
			recycle()
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes came, or %d others", len(got), len(want))
			}
			if short == 0 {
				t.Error("the buffers never ran out: the test tests nothing")
			}
			for k, f := range r.state {
				if f.unread != 0 || f.full {
					t.Errorf("buffer %d leaked: %+v", k, f)
				}
			}
			return
		default:
			held, bytesOf = append(held, c), append(bytesOf, r.Take(c))
		}
		if !c.More() {
			recycle()
			r.Receive(fd, 1)
		}
	}
}

// TestCancelLetsTheSocketGo: a pending receive holds the socket open, so that closing its descriptor says nothing to the
// peer; once it is cancelled, it does.
func TestCancelLetsTheSocketGo(t *testing.T) {
	for _, by := range []string{"data", "socket"} {
		r := start(t, small)
		fd, peer := pair(t)
		r.Receive(fd, 1)
		r.Submit()
		if by == "data" {
			r.Cancel(1, 2)
		} else {
			r.CancelSocket(fd, 2)
		}
		seen := map[uint64]Completion{}
		for len(seen) < 2 {
			c := next(t, r)
			seen[c.Data] = c
		}
		if seen[1].Errno() != unix.ECANCELED || seen[1].More() || seen[2].Res != 1 {
			t.Errorf("by %s: cancelling: %+v", by, seen)
		}
		_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})

		closeDup(t, fd)
		_ = peer.SetReadDeadline(time.Now().Add(limit))
		if _, err := peer.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
			t.Errorf("by %s: the peer of a closed socket reads %v: want a reset", by, err)
		}
	}
}

// closeDup closes a descriptor but keeps its number taken, so that the cleanup closes no other file.
func closeDup(tb testing.TB, fd int32) {
	null := must[*os.File](tb)(os.Open(os.DevNull))
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), int(fd), unix.O_CLOEXEC); err != nil {
		tb.Fatal(err)
	}
}

// TestNoCompletionIsLost: more completions than there is room for wait in the kernel and are counted.
func TestNoCompletionIsLost(t *testing.T) {
	r := start(t, Config{Submissions: 16, Completions: 16, Buffers: 1, BufferSize: 4096})
	const n = 200
	for i := range n {
		r.Poll(-1, unix.POLLIN, uint64(i))
	}
	seen := map[uint64]bool{}
	for range n {
		c := next(t, r)
		if c.Errno() != unix.EBADF || seen[c.Data] {
			t.Fatalf("completion %+v: want EBADF once of each", c)
		}
		seen[c.Data] = true
	}
	if r.Overflows() == 0 || r.Dropped() != 0 {
		t.Errorf("%d overflows, %d dropped: want some and none", r.Overflows(), r.Dropped())
	}
	if r.Submit(); r.Ready() != 0 {
		t.Errorf("%d completions too many", r.Ready())
	}
}

func TestWaitsAsLongAsTold(t *testing.T) {
	r := start(t, small)
	fd, peer := pair(t)
	r.Receive(fd, 1)
	wait := func(count int, least, most time.Duration) time.Duration {
		from := time.Now()
		if errno := r.Wait(count, int64(least), int64(most)); errno != 0 {
			t.Fatal(errno)
		}
		return time.Since(from)
	}
	if d := wait(1, 0, 0); d > limit {
		t.Errorf("waiting for 0 took %v", d)
	}
	if d := wait(1, 0, 2*time.Millisecond); d < 2*time.Millisecond {
		t.Errorf("waiting for 2 ms took %v", d)
	}
	must[int](t)(peer.Write([]byte("x")))
	if d := wait(1, 0, time.Hour); d > limit || r.Ready() != 1 {
		t.Errorf("waiting for what was there took %v, %d completions", d, r.Ready())
	}
	r.Release(1)
	// Fewer than asked for will do after the least time, and not before.
	must[int](t)(peer.Write([]byte("x")))
	if d := wait(4, 3*time.Millisecond, time.Hour); d < 3*time.Millisecond || d > limit || r.Ready() != 1 {
		t.Errorf("waiting for four, at least 3 ms, took %v, %d completions: want one", d, r.Ready())
	}
}

func TestRingBelongsToItsThread(t *testing.T) {
	r := start(t, small)
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread()
		r.Poll(-1, 0, 1)
		done <- r.Submit()
	}()
	if errno := <-done; errno != unix.EEXIST {
		t.Errorf("submitting from another thread: %v, want EEXIST", errno)
	}
}

func TestErrorsNameTheRemedy(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		unix.ENOSYS: "built without", unix.EINVAL: "want Linux 6.12", unix.ENOMEM: "ulimit", unix.EPERM: "seccomp",
	} {
		if err := setupError(errno); !strings.Contains(err.Error(), want) {
			t.Errorf("setting up with %v: %v: want %q in it", errno, err, want)
		}
	}
	all := uint32(featSingleMmap | featNoDrop | featExtArg | featMinTimeout)
	if err := missing(all); err != nil {
		t.Error(err)
	}
	if err := missing(all &^ featMinTimeout); err == nil || !strings.Contains(err.Error(), "minimum waits") {
		t.Errorf("without minimum waits: %v", err)
	}
}
