package main

import (
	"testing"
	"time"
)

// TestLateRepliesOfABatch: at the end of a stall many replies are due at once, and each counts by the time of its own turn. Input is
// looked for again before all of them have gone out.
func TestLateRepliesOfABatch(t *testing.T) {
	now := int64(time.Hour)
	gone := &conn{over: true} // nothing is written to it
	s := &server{script: mustScript(t, "constant=0s", 1)}
	s.now = func() int64 {
		now += int64(100 * time.Microsecond) // what a reply takes
		return now
	}
	begin := now
	for range 3 * repliesAtOnce {
		s.queue.push(pending{due: begin, conn: gone})
	}
	s.answerDue()
	if left := len(s.queue); left != 2*repliesAtOnce {
		t.Errorf("%d replies wait after one batch, want %d", left, 2*repliesAtOnce)
	}
	if late := s.late.Load(); late != repliesAtOnce-10 {
		t.Errorf("%d of %d are late, want all but the 10 within the first millisecond", late, repliesAtOnce)
	}
	s.answerDue()
	s.answerDue()
	s.answerDue()
	if late := s.late.Load(); len(s.queue) > 0 || late != 3*repliesAtOnce-10 {
		t.Errorf("%d late, %d wait", late, len(s.queue))
	}
}

// TestLateReading: a request that was there for longer than a millisecond before it was read makes its reply late.
func TestLateReading(t *testing.T) {
	now := int64(time.Hour)
	s := &server{script: mustScript(t, "constant=0s", 1), now: func() int64 { return now }}
	gone := &conn{over: true}
	s.woken = now
	for i, wait := range []int64{0, int64(lateBy), 1} {
		now += wait
		s.receive(gone, pending{conn: gone})
		if s.answerDue(); s.late.Load() != int64(i/2) || len(s.queue) > 0 {
			t.Errorf("request %d: %d late, %d wait; want the third only to be late", i+1, s.late.Load(), len(s.queue))
		}
	}
}
