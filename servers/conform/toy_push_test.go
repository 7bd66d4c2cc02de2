package conform

import (
	"bufio"
	"encoding/binary"
	"flag"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// toyHub makes the frames that the toy sends on its own, and hands each to the queue of every subscriber.
type toyHub struct {
	rate, overflow string
	queue          int

	head    []byte // of a frame: what is before its id
	payload []byte

	pushed, delivered, dropped, disconnected atomic.Int64

	mu   sync.Mutex
	subs map[*toySub]bool
}

// toySub is one subscriber, with a goroutine that writes.
type toySub struct {
	c       *toyConn
	queue   chan []byte
	quit    chan struct{}
	written chan struct{}
}

func (h *toyHub) flags(flags *flag.FlagSet) {
	flags.StringVar(&h.rate, "push-rate", "", "")
	flags.StringVar(&h.overflow, "push-overflow", "drop-oldest", "")
	flags.IntVar(&h.queue, "push-queue", 64, "")
}

func (h *toyHub) start(s *toy, payload int) {
	if h.rate == "" && s.protocol == "push" {
		h.rate = "10/s"
	}
	if h.rate == "" {
		return
	}
	rate, err := time.ParseDuration(strings.TrimSuffix(h.rate, "/s") + "s") // as many seconds as frames
	if err != nil {
		panic(err)
	}
	h.subs = make(map[*toySub]bool)
	const pattern = "Hello, World! millrace "
	h.payload = []byte(strings.Repeat(pattern, payload/len(pattern)+1))[:payload]
	if s.has("push-wrong-payload") {
		h.payload[0]++
	}
	h.head = binary.BigEndian.AppendUint32(nil, uint32(16+payload))
	if s.protocol == "ws" {
		h.head = wsHead(2, 16+payload)
	}
	go h.run(s, time.Duration(float64(time.Second)/rate.Seconds()))
}

func (h *toyHub) run(s *toy, period time.Duration) {
	due := time.Now()
	for number := uint64(1); ; number++ {
		due = due.Add(period)
		<-time.After(time.Until(due))
		if s.has("push-gap") && number%5 == 0 {
			number++
		}
		h.pushed.Add(1)
		frame := h.frame(s, number)
		h.mu.Lock()
		all := make([]*toySub, 0, len(h.subs))
		for sub := range h.subs {
			all = append(all, sub)
		}
		h.mu.Unlock()
		for _, sub := range all {
			if s.has("push-own-clocks") {
				frame = h.frame(s, number)
			}
			h.hand(sub, frame)
		}
	}
}

func (h *toyHub) frame(s *toy, number uint64) []byte {
	const clockMonotonic = 1
	var ts syscall.Timespec
	if !s.has("push-zero-clock") {
		syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	}
	b := append([]byte(nil), h.head...)
	b = binary.BigEndian.AppendUint64(b, number)
	b = binary.BigEndian.AppendUint64(b, uint64(ts.Nano()))
	return append(b, h.payload...)
}

// hand puts a frame into a queue.
func (h *toyHub) hand(sub *toySub, frame []byte) {
	for {
		select {
		case sub.queue <- frame:
			return
		case <-sub.quit:
			return
		default:
		}
		switch h.overflow {
		case "drop-oldest":
			select {
			case <-sub.queue:
				h.dropped.Add(1)
			default:
			}
		case "disconnect":
			h.mu.Lock()
			delete(h.subs, sub)
			h.mu.Unlock()
			h.disconnected.Add(1)
			_ = sub.c.Conn.Close()
			return
		default:
			select {
			case sub.queue <- frame:
			case <-sub.quit:
			}
			return
		}
	}
}

func (h *toyHub) subscribe(s *toy, c *toyConn) {
	if c.sub != nil {
		return
	}
	queue := h.queue
	if s.has("push-unbounded") {
		queue = 1 << 20
	}
	c.sub = &toySub{c, make(chan []byte, queue), make(chan struct{}), make(chan struct{})}
	h.mu.Lock()
	h.subs[c.sub] = true
	h.mu.Unlock()
	go h.write(s, c.sub)
}

func (h *toyHub) write(s *toy, sub *toySub) {
	defer close(sub.written)
	for {
		select {
		case frame := <-sub.queue:
			if s.has("push-cuts-at-shutdown") && s.draining.Load() {
				_, _ = sub.c.Write(frame[:len(frame)/2])
				_ = sub.c.Conn.Close()
				return
			}
			if _, err := sub.c.Write(frame); err != nil {
				return
			}
			if !s.has("push-miscounts") {
				h.delivered.Add(1)
				s.bytesOut.Add(int64(8 + len(h.payload)))
			}
		case <-sub.quit:
			return
		}
	}
}

func (h *toyHub) leave(s *toy, c *toyConn, eof bool) {
	if !s.has("push-forgets-leaving") {
		h.mu.Lock()
		delete(h.subs, c.sub)
		h.mu.Unlock()
	}
	if s.has("push-cuts-at-shutdown") && s.draining.Load() {
		c.sub.queue <- h.frame(s, 1)
		<-c.sub.written
	}
	close(c.sub.quit)
	_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	<-c.sub.written
	if s.has("push-cuts-at-half-close") && eof {
		_, _ = c.Write(h.frame(s, 1)[:20])
	}
}

func (h *toyHub) readings(answer map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs != nil {
		answer["pushed"], answer["delivered"], answer["dropped"] = h.pushed.Load(), h.delivered.Load(), h.dropped.Load()
		answer["disconnected"], answer["subscribers"] = h.disconnected.Load(), len(h.subs)
	}
}

// pushFrame takes what a subscriber sends.
func (s *toy) pushFrame(c *toyConn, in *bufio.Reader) error {
	var head [12]byte
	if _, err := io.ReadFull(in, head[:4]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 8 || n > 1<<20 {
		return errMalformed
	}
	rest := make([]byte, n)
	if _, err := io.ReadFull(in, rest); err != nil {
		return err
	}
	if !s.asks(c, rest[8:]) && !s.has("accepts-malformed") {
		return errMalformed
	}
	if s.has("push-answers-heartbeats") {
		_, err := c.Write(append([]byte{0, 0, 0, 8}, rest[:8]...))
		return err
	}
	return nil
}

// asks carries out a subscription or a heartbeat, and reports false for anything else.
func (s *toy) asks(c *toyConn, body []byte) bool {
	name, _, _ := strings.Cut(string(body), " ")
	if name == "subscribe" {
		s.hub.subscribe(s, c)
	}
	return name == "subscribe" || name == ""
}
