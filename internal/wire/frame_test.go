package wire

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unsafe"
)

func TestFrames(t *testing.T) {
	for _, body := range []string{"", "x", strings.Repeat("abc", 1000)} {
		const id = FrameWork | 42
		data := AppendFrame(nil, id, []byte(body))
		data = append(data, "next"...)
		whole := len(data) - 4
		for cut := range data {
			gotID, got, n, err := ParseFrame(data[:cut])
			if cut < whole && (n != 0 || err != nil) {
				t.Fatalf("%d of %d bytes: n %d, %v", cut, whole, n, err)
			}
			if cut >= whole && (n != whole || err != nil || gotID != id || string(got) != body) {
				t.Fatalf("%d bytes: id %x, %d bytes of body, n %d, %v", cut, gotID, len(got), n, err)
			}
		}
		for cut := range whole {
			feedFrame(t, data, body, id, cut, whole)
		}
		feedFrame(t, data, body, id, allEnds(whole)...)
	}
}

// feedFrame feeds data up to each of ends in turn, then the rest.
func feedFrame(t *testing.T, data []byte, body string, id uint64, ends ...int) {
	t.Helper()
	var s FrameState
	from := 0
	for i, end := range append(ends, len(data)) {
		n, done, err := s.Feed(data[from:end], []byte(body))
		if err != nil {
			t.Fatalf("piece %d: %v", i, err)
		}
		from += n
		if done {
			if s.ID() != id || s.BodyLen() != int64(len(body)) || !s.Matches() || from != len(data)-4 || s.Started() {
				t.Fatalf("cut at %v: id %x, body %d, matches %v, n %d", ends, s.ID(), s.BodyLen(), s.Matches(), from)
			}
			return
		}
		if s.Started() != (from > 0) {
			t.Fatalf("started is %v after %d bytes", s.Started(), from)
		}
		if left := s.HeadLeft(); left != max(FrameHead-from, 0) || left == 0 && s.ID() != id {
			t.Fatalf("%d bytes of head left after %d, id %x", left, from, s.ID())
		}
	}
	t.Fatalf("cut at %v: never done", ends)
}

func TestFrameStateTellsAWrongBody(t *testing.T) {
	check := func(sent, want string, matches bool) {
		t.Helper()
		var s FrameState
		if _, done, err := s.Feed(AppendFrame(nil, 1, []byte(sent)), []byte(want)); !done || err != nil || s.Matches() != matches {
			t.Errorf("%q for %q: done %v, matches %v, %v", sent, want, done, s.Matches(), err)
		}
	}
	check("hello", "hello", true)
	check("hellO", "hello", false)
	check("hell", "hello", false)
	check("hello!", "hello", false)
	check("", "hello", false)
}

func TestFrameLength(t *testing.T) {
	check := func(length uint32, ok bool) {
		t.Helper()
		head := binary.BigEndian.AppendUint32(nil, length)
		_, _, n, err := ParseFrame(head)
		var s FrameState
		_, _, feedErr := s.Feed(head, nil)
		if n != 0 || (err == nil) != ok || (feedErr == nil) != ok {
			t.Errorf("length %d: n %d, %v, %v", length, n, err, feedErr)
		}
	}
	check(7, false)
	check(8, true)
	check(MaxBody, true)
	check(MaxBody+1, false)
	check(1<<32-1, false)
}

func TestFrameStateIsSmall(t *testing.T) {
	if s := unsafe.Sizeof(FrameState{}); s > 24 {
		t.Errorf("%d bytes of state for each connection, want at most 24", s)
	}
}

// FuzzFrame: never panics, and both parsers agree however the input is cut.
func FuzzFrame(f *testing.F) {
	f.Add(AppendFrame(nil, 7, []byte("hello")), uint16(3))
	f.Add([]byte{0, 0, 0, 7}, uint16(1))
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		id, body, n, err := ParseFrame(in)
		at := int(cut) % (len(in) + 1)
		var s FrameState
		taken, done, feedErr := s.Feed(in[:at], nil)
		if !done && feedErr == nil {
			var more int
			more, done, feedErr = s.Feed(in[at:], nil)
			taken += more
		}
		if feedErr != err || done != (n > 0) || done && (taken != n || s.ID() != id || s.BodyLen() != int64(len(body))) {
			t.Fatalf("ParseFrame: %x, %d bytes, n %d, %v; FrameState: %x, %d bytes, n %d, %v", id, len(body), n, err, s.ID(), s.BodyLen(), taken, feedErr)
		}
		if n > 0 && !bytes.Equal(AppendFrame(nil, id, body), in[:n]) {
			t.Fatal("written again, the frame differs")
		}
	})
}

func BenchmarkParseFrame(b *testing.B) {
	data := AppendFrame(nil, 1, []byte("Hello, World!"))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, n, err := ParseFrame(data); n != len(data) || err != nil {
			b.Fatal(n, err)
		}
	}
}
