package push

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// byHand returns a hub whose frames the test makes by publish. Each is its number alone.
func byHand(queue int, overflow string) *Hub {
	h := New(Config{Rate: 1, Queue: queue, Overflow: overflow, Encode: func(n uint64, _ int64) []byte {
		return binary.BigEndian.AppendUint64(nil, n)
	}})
	h.running = true
	return h
}

// reader is a subscriber that counts how often it was woken.
type reader struct {
	*Outbox
	woken atomic.Int64
}

func subscribe(h *Hub) *reader {
	r := new(reader)
	r.Outbox = h.NewOutbox(func() { r.woken.Add(1) })
	r.Subscribe()
	return r
}

func numbers(b []byte) (n []uint64) {
	for ; len(b) >= 8; b = b[8:] {
		n = append(n, binary.BigEndian.Uint64(b))
	}
	return n
}

// takes checks what the reader gets.
func (r *reader) takes(t *testing.T, from, to uint64) {
	t.Helper()
	out, more, closing := r.Pushed(nil)
	got := numbers(out)
	if len(got) != int(to+1-from) || len(got) > 0 && (got[0] != from || got[len(got)-1] != to) || more || closing {
		t.Errorf("took %v, more %v, closing %v; want frames %d to %d", got, more, closing, from, to)
	}
}

func publish(h *Hub, times int) {
	for range times {
		h.publish(time.Now(), 0)
	}
}

func (h *Hub) wants(t *testing.T, want Counts) {
	t.Helper()
	got := h.Counts()
	got.LateMaxNs, got.LateP99Ns = 0, 0 // TestRate looks at them
	if got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func TestFramesReachWhoHasSubscribed(t *testing.T) {
	h := byHand(8, DropOldest)
	a := subscribe(h)
	a.takes(t, 1, 0)
	publish(h, 3)
	if n := a.woken.Load(); n != 1 {
		t.Errorf("woken %d times for three frames that nobody took, want once", n)
	}
	a.takes(t, 1, 3)
	b := subscribe(h)
	b.Subscribe() // a second time does nothing
	publish(h, 1)
	a.takes(t, 4, 4)
	b.takes(t, 4, 4)
	if a.woken.Load() != 2 || b.woken.Load() != 1 {
		t.Errorf("woken %d and %d times, want 2 and 1", a.woken.Load(), b.woken.Load())
	}
	h.wants(t, Counts{Pushed: 4, Delivered: 5, Subscribers: 2})
	publish(h, 1)
	a.End()
	a.End()
	a.takes(t, 1, 0)
	publish(h, 1)
	b.takes(t, 5, 6)
	if a.woken.Load() != 3 || len(h.outboxes) != 1 {
		t.Errorf("after its end woken %d times, %d outboxes; want 3, 1", a.woken.Load(), len(h.outboxes))
	}
	h.wants(t, Counts{Pushed: 6, Delivered: 7, Subscribers: 1})
	a.Subscribe()
	if a.state.Load() != over {
		t.Error("subscribed after its end")
	}
}

func TestDropOldest(t *testing.T) {
	h := byHand(3, DropOldest)
	slow, quick := subscribe(h), subscribe(h)
	for range 10 {
		publish(h, 1)
		quick.takes(t, h.head.Load(), h.head.Load())
	}
	slow.takes(t, 8, 10)
	h.wants(t, Counts{Pushed: 10, Delivered: 13, Dropped: 7, Subscribers: 2})
}

func TestDisconnect(t *testing.T) {
	h := byHand(3, Disconnect)
	slow, quick := subscribe(h), subscribe(h)
	publish(h, 3)
	quick.takes(t, 1, 3)
	if slow.Overflowed() {
		t.Error("disconnected though as many wait as may")
	}
	publish(h, 1)
	if _, _, closing := slow.Pushed(nil); !closing || !slow.Overflowed() || slow.woken.Load() != 2 {
		t.Errorf("closing %v, overflowed %v, woken %d times; want true, true, 2", closing, slow.Overflowed(), slow.woken.Load())
	}
	if _, closing := slow.Message(); !closing {
		t.Error("Message does not say that the connection is to be ended")
	}
	slow.End()
	publish(h, 1)
	quick.takes(t, 4, 5)
	h.wants(t, Counts{Pushed: 5, Delivered: 5, Disconnected: 1, Subscribers: 1})
}

func TestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := byHand(2, Block)
		slow, dead, quick := subscribe(h), subscribe(h), subscribe(h)
		publish(h, 2)
		quick.takes(t, 1, 2)
		dead.takes(t, 1, 2)
		go publish(h, 1)
		synctest.Wait()
		quick.takes(t, 3, 2) // it waits for the slow one
		slow.takes(t, 1, 2)
		synctest.Wait()
		quick.takes(t, 3, 3)
		slow.takes(t, 3, 3)

		started := time.Now()
		publish(h, 1) // the dead one has two
		go publish(h, 1)
		synctest.Wait()
		slow.takes(t, 4, 4)
		<-time.After(blockFor - 1)
		synctest.Wait()
		if dead.Overflowed() {
			t.Errorf("disconnected after %v", time.Since(started))
		}
		<-time.After(1)
		synctest.Wait()
		if !dead.Overflowed() {
			t.Errorf("still subscribed after %v", time.Since(started))
		}
		slow.takes(t, 5, 5)
		quick.takes(t, 4, 5)
		h.wants(t, Counts{Pushed: 5, Delivered: 12, Disconnected: 1, Subscribers: 2})
	})
}

func TestEndLetsABlockedHubGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := byHand(1, Block)
		gone, stays := subscribe(h), subscribe(h)
		publish(h, 1)
		stays.takes(t, 1, 1)
		go publish(h, 1)
		synctest.Wait()
		gone.End()
		synctest.Wait()
		stays.takes(t, 2, 2)
	})
}

func TestStopEndsABlockedHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := byHand(1, Block)
		subscribe(h)
		publish(h, 1)
		ended := make(chan bool)
		go func() { ended <- h.publish(time.Now(), 0) }()
		synctest.Wait()
		h.Stop()
		if <-ended {
			t.Error("made a frame though it was stopped")
		}
	})
}

func TestPushedTakesASocketBufferAtOnce(t *testing.T) {
	h := byHand(8, DropOldest)
	h.config.Encode = func(n uint64, _ int64) []byte { return make([]byte, TakeBytes/2-1+int(n)) } // two never fit together
	r := subscribe(h)
	publish(h, 3)
	for i, want := range []struct {
		bytes int
		more  bool
	}{{TakeBytes / 2, true}, {TakeBytes/2 + 1, true}, {TakeBytes/2 + 2, false}, {0, false}} {
		out, more, _ := r.Pushed(nil)
		if len(out) != want.bytes || more != want.more {
			t.Errorf("call %d: %d bytes, more %v; want %d, %v", i, len(out), more, want.bytes, want.more)
		}
	}
	h.config.Encode = func(uint64, int64) []byte { return make([]byte, 2*TakeBytes) }
	publish(h, 1)
	if out, more, _ := r.Pushed([]byte("before")); len(out) != 6+2*TakeBytes || more {
		t.Errorf("a large frame: %d bytes, more %v", len(out), more)
	}
}

func TestMessage(t *testing.T) {
	h := byHand(8, DropOldest)
	h.config.Head = 2
	var frames, bytes int
	h.config.Delivered = func(f, b int) { frames, bytes = frames+f, bytes+b }
	r := subscribe(h)
	publish(h, 1)
	m, closing := r.Message()
	if len(m) != 6 || m[5] != 1 || closing || frames != 1 || bytes != 6 {
		t.Errorf("message %v, closing %v, %d frames of %d bytes", m, closing, frames, bytes)
	}
	if m, _ = r.Message(); m != nil {
		t.Errorf("a second message %v", m)
	}
	publish(h, 1)
	if r.woken.Load() != 2 {
		t.Errorf("woken %d times, want 2", r.woken.Load())
	}
}

// TestRate looks at the times of frames of a hub that is late in between: they are made at once, and then on time again.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made []time.Duration
		var stamps []int64
		begin := time.Now()
		h := New(Config{Rate: 4, Queue: 64, Overflow: DropOldest, Encode: func(n uint64, clock int64) []byte {
			made, stamps = append(made, time.Since(begin)), append(stamps, clock)
			if n == 4 {
				<-time.After(600 * time.Millisecond)
			}
			return nil
		}})
		r := subscribe(h)
		<-time.After(2*time.Second + time.Millisecond)
		h.Stop()
		want := []time.Duration{0, 250, 500, 750, 1350, 1350, 1500, 1750, 2000}
		for i := range max(len(want), len(made)) {
			if i >= len(made) || i >= len(want) || made[i] != want[i]*time.Millisecond {
				t.Fatalf("frames made at %v, want %v ms", made, want)
			}
			if due := stamps[i] - stamps[0]; due != int64(i)*int64(250*time.Millisecond) {
				t.Errorf("frame %d is stamped %d ns after the first: want when it was due, %d ms", i+1, due, 250*i)
			}
		}
		// Frame 4 is told of 600 ms late, 5 and 6 are 350 and 100 ms late.
		if c := h.Counts(); c.LateMaxNs != int64(600*time.Millisecond) || c.LateP99Ns != c.LateMaxNs {
			t.Errorf("late by %d ns at most and %d by p99: want 600 ms, of 9 frames", c.LateMaxNs, c.LateP99Ns)
		}
		if r.woken.Load() != 1 {
			t.Errorf("woken %d times", r.woken.Load())
		}
		subscribe(h) // after the stop: no goroutine is left behind
	})
}

func TestHubForgetsWhoEndedBetweenTwoFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{Rate: 0.01, Queue: 1, Overflow: DropOldest, Encode: func(uint64, int64) []byte { return nil }})
		defer h.Stop()
		subscribe(h)
		synctest.Wait()
		gone := subscribe(h)
		gone.End()
		<-time.After(2 * sweepEvery)
		h.Stop()
		if len(h.outboxes) != 1 || len(h.joined) != 0 {
			t.Errorf("%d outboxes, %d joined; want 1, 0", len(h.outboxes), len(h.joined))
		}
	})
}

// TestWritersAtTheSameTime has every frame of a hub without pause either taken once, in order, or dropped.
func TestWritersAtTheSameTime(t *testing.T) {
	const frames, writers = 20000, 4
	for _, overflow := range []string{DropOldest, Block} {
		h := byHand(4, overflow)
		var all sync.WaitGroup
		var taken atomic.Int64
		end := make(chan struct{})
		for range writers {
			wake := make(chan struct{}, 1)
			o := h.NewOutbox(func() {
				select {
				case wake <- struct{}{}:
				default:
				}
			})
			o.Subscribe()
			all.Go(func() {
				var last uint64
				var out []byte
				for running := true; running; {
					select {
					case <-wake:
					case <-end:
						running = false
					}
					for more := true; more; {
						out, more, _ = o.Pushed(out[:0])
						for _, n := range numbers(out) {
							if n <= last || overflow == Block && n != last+1 {
								t.Errorf("%s: frame %d behind %d", overflow, n, last)
							}
							last = n
							taken.Add(1)
						}
					}
				}
				if last != frames {
					t.Errorf("%s: the last frame is %d", overflow, last)
				}
			})
		}
		publish(h, frames)
		close(end)
		all.Wait()
		if c := h.Counts(); c.Delivered != taken.Load() || c.Delivered+c.Dropped != frames*writers || overflow == Block && c.Dropped > 0 {
			t.Errorf("%s: %+v, %d taken", overflow, c, taken.Load())
		}
	}
}

func TestAFrameCostsNoMemoryPerSubscriber(t *testing.T) {
	h := byHand(64, DropOldest)
	var readers []*reader
	for range 1000 {
		readers = append(readers, subscribe(h))
	}
	out := make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(100, func() {
		h.publish(time.Now(), 0)
		for _, r := range readers {
			out, _, _ = r.Pushed(out[:0])
		}
	}); n > 3 {
		t.Errorf("%v allocations for a frame to 1000 subscribers", n)
	}
}

// BenchmarkFanOut is one frame of 256 bytes, made and taken by 10 000 writers one after the other.
func BenchmarkFanOut(b *testing.B) {
	const subscribers = 10_000
	h := byHand(64, DropOldest)
	h.config.Encode = func(n uint64, _ int64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 276), n)[:276] }
	var readers []*reader
	for range subscribers {
		readers = append(readers, subscribe(h))
	}
	out := make([]byte, 0, 1<<10)
	b.ReportAllocs()
	for b.Loop() {
		h.publish(time.Now(), 0)
		for _, r := range readers {
			out, _, _ = r.Pushed(out[:0])
		}
	}
	b.ReportMetric(float64(h.Counts().Delivered)/b.Elapsed().Seconds(), "deliveries/s")
}

func TestLatenessKeepsItsResolution(t *testing.T) {
	for ns := int64(0); ns < 1<<62; ns += 1 + ns/7 {
		i := lateBucket(ns)
		if top := lateBound(i); top < ns || float64(top) > 1.25*float64(ns) && top > 3 || i > 0 && lateBound(i-1) >= ns {
			t.Fatalf("%d ns: bucket %d to %d, the one before to %d", ns, i, top, lateBound(max(i-1, 0)))
		}
	}
	var l lateness
	if most, p99 := l.read(); most != 0 || p99 != 0 {
		t.Errorf("without frames %d and %d", most, p99)
	}
	for range 99 {
		l.add(1000)
	}
	l.add(1e6)
	if most, p99 := l.read(); most != 1e6 || p99 < 1000 || p99 > 1250 {
		t.Errorf("largest %d and p99 %d of 99 × 1000 ns and 1 ms", most, p99)
	}
}

// TestNothingBehindAnOverflow: the hub goes on without a subscriber that is disconnected and overwrites what it had still to take, so a
// writer that was about to take it takes nothing.
func TestNothingBehindAnOverflow(t *testing.T) {
	h := byHand(2, Disconnect)
	r := subscribe(h)
	publish(h, 4)
	frame, next := r.peek()
	if n := numbers(frame); next != 1 || len(n) != 1 || n[0] != 4 {
		t.Fatalf("in the place of frame %d is %d: the log is larger than this test takes it for", next, n)
	}
	if r.claim(next) {
		t.Error("frame 4 was taken for frame 1")
	}
}
