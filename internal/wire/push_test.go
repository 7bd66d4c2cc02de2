package wire

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unsafe"
)

func TestPushFramesCutAnywhere(t *testing.T) {
	for _, size := range []int{0, 1, 13, 300, 3 * pushBlock} {
		payload := Payload(size)
		for _, want := range [][]byte{nil, payload} {
			const sequence, clock = 1<<63 + 5, 1_234_567_890_123
			data := append(AppendPush(nil, sequence, clock, payload), "next"...)
			whole := len(data) - 4
			step := max(1, whole/400)
			for cut := 0; cut < whole; cut += step {
				feedPush(t, data, want, sequence, clock, size, cut, whole)
			}
			feedPush(t, data, want, sequence, clock, size, allEnds(whole)...)
		}
	}
}

// feedPush feeds data up to each of ends in turn, then the rest, and then the same frame again.
func feedPush(t *testing.T, data, want []byte, sequence uint64, clock int64, size int, ends ...int) {
	t.Helper()
	var s PushState
	for round := range 2 {
		from, done := 0, false
		for i, end := range append(ends, len(data)) {
			var n int
			var err error
			if n, done, err = s.Feed(data[from:end], want); err != nil {
				t.Fatalf("piece %d: %v", i, err)
			}
			if from += n; done {
				break
			}
		}
		if !done || from != len(data)-4 || s.Sequence() != sequence || s.Clock() != clock || s.PayloadLen() != int64(size) || !s.Matches() {
			t.Fatalf("round %d, cut at %v: done %v after %d bytes, sequence %d, clock %d, payload %d, matches %v",
				round, ends, done, from, s.Sequence(), s.Clock(), s.PayloadLen(), s.Matches())
		}
	}
}

func TestPushStateTellsAWrongPayload(t *testing.T) {
	big := Payload(3 * pushBlock)
	for at := range big {
		if at > 50 && at%97 != 0 && at < len(big)-50 {
			continue
		}
		big[at] ^= 1
		var s PushState
		if _, done, err := s.Feed(AppendPush(nil, 1, 1, big), nil); !done || err != nil || s.Matches() {
			t.Errorf("byte %d changed: done %v, %v, matches %v", at, done, err, s.Matches())
		}
		big[at] ^= 1
		if _, done, _ := s.Feed(AppendPush(nil, 2, 1, big), nil); !done || !s.Matches() {
			t.Errorf("the good frame after it: done %v, matches %v", done, s.Matches())
		}
	}
	for _, sent := range []string{"hello", "hell", "hello!", ""} {
		var s PushState
		if _, done, _ := s.Feed(AppendPush(nil, 1, 1, []byte(sent)), []byte("hello")); !done || s.Matches() != (sent == "hello") {
			t.Errorf("%q for hello: done %v, matches %v", sent, done, s.Matches())
		}
	}
}

func TestPushLength(t *testing.T) {
	for length, ok := range map[uint32]bool{0: false, 15: false, 16: true, MaxBody: true, MaxBody + 1: false, 1<<32 - 1: false} {
		for _, data := range [][]byte{binary.BigEndian.AppendUint32(nil, length), append(binary.BigEndian.AppendUint32(nil, length), make([]byte, 100)...)} {
			var s PushState
			if _, _, err := s.Feed(data, nil); (err == nil) != ok {
				t.Errorf("length %d in %d bytes: %v", length, len(data), err)
			}
		}
	}
}

func TestSubscribe(t *testing.T) {
	for _, channel := range []string{"", "prices", strings.Repeat("x", MaxChannel)} {
		_, body, n, err := ParseFrame(AppendSubscribe(nil, channel))
		if got, ok := ParseSubscribe(body); n == 0 || err != nil || !ok || string(got) != channel {
			t.Errorf("channel %q: read %q, %v, %v", channel, got, ok, err)
		}
	}
	for _, body := range []string{"", "subscrib", "subscribe ", "subscribed", "subscribe a b", "subscribe \x00", "subscribe " + strings.Repeat("x", MaxChannel+1)} {
		if channel, ok := ParseSubscribe([]byte(body)); ok {
			t.Errorf("%q was read as channel %q", body, channel)
		}
	}
}

func TestPushStateIsSmall(t *testing.T) {
	if s := unsafe.Sizeof(PushState{}); s > 32 {
		t.Errorf("%d bytes of state for each connection, want at most 32", s)
	}
	data, s := AppendPush(nil, 1, 1, Payload(100)), PushState{}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = s.Feed(data, nil) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// FuzzPush: never panics, agrees with ParseFrame however the input is cut, and what it took is written again the same.
func FuzzPush(f *testing.F) {
	f.Add(AppendPush(nil, 7, 1234, Payload(40)), uint16(3))
	f.Add(AppendSubscribe(nil, "prices"), uint16(1))
	f.Add([]byte{0, 0, 0, 15, 1, 2, 3, 4, 5}, uint16(4))
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		at := int(cut) % (len(in) + 1)
		var s PushState
		n, done, err := s.Feed(in[:at], nil)
		if !done && err == nil {
			var more int
			more, done, err = s.Feed(in[at:], nil)
			n += more
		}
		id, body, whole, frameErr := ParseFrame(in)
		short := len(in) >= 4 && frameErr == nil && binary.BigEndian.Uint32(in) < PushHead-4
		if (err != nil) != (frameErr != nil || short) {
			t.Fatalf("PushState: %v, ParseFrame: %v", err, frameErr)
		}
		if err != nil {
			return
		}
		if done != (whole > 0) || done && n != whole {
			t.Fatalf("PushState: done %v after %d bytes, ParseFrame took %d", done, n, whole)
		}
		if !done {
			return
		}
		payload := body[8:]
		if s.Sequence() != id || s.Matches() != bytes.Equal(payload, Payload(len(payload))) || !bytes.Equal(AppendPush(nil, s.Sequence(), s.Clock(), payload), in[:n]) {
			t.Fatalf("sequence %d, matches %v, or written again it differs", s.Sequence(), s.Matches())
		}
		if channel, ok := ParseSubscribe(body); ok {
			if _, again, _, _ := ParseFrame(AppendSubscribe(nil, string(channel))); !bytes.Equal(again, body) {
				t.Fatalf("subscribe frame of %q, written again, differs", channel)
			}
		}
	})
}

func BenchmarkPushState(b *testing.B) {
	data, s := AppendPush(nil, 1, 1, Payload(100)), PushState{}
	b.ReportAllocs()
	for b.Loop() {
		if n, done, _ := s.Feed(data, nil); !done || n != len(data) {
			b.Fatal(n)
		}
	}
}
