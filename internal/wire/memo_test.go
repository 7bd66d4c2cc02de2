package wire

import (
	"bytes"
	"fmt"
	"testing"
)

// Whatever a Memo has seen before, it says what Feed says.
func TestMemoIsFeed(t *testing.T) {
	var m Memo
	one := func(c Expect, in []byte, feed func(s *ReplyState, buf []byte, e *Expect) (int, bool, error)) string {
		var s ReplyState
		n, done, err := feed(&s, in, &c)
		return fmt.Sprint(n, done, err, s)
	}
	plain := func(s *ReplyState, buf []byte, e *Expect) (int, bool, error) { return s.Feed(buf, e) }
	for _, c := range replies {
		e := &Expect{Head: c.head}
		if c.body != "" {
			e.Body = []byte(c.body)
		}
		for _, in := range [][]byte{[]byte(c.in), []byte(c.in), []byte(c.in[:len(c.in)-1])} {
			memo := func(s *ReplyState, buf []byte, _ *Expect) (int, bool, error) { return m.Feed(s, buf, e) }
			if got, want := one(*e, in, memo), one(*e, in, plain); got != want {
				t.Errorf("%.90q: got %s, want %s", in, got, want)
			}
		}
	}
}

func TestMemoSeesEveryByte(t *testing.T) {
	good := AppendResponse(nil, 200, []byte("Hello, World!"), false)
	e := &Expect{Body: []byte("Hello, World!")}
	var m Memo
	for i := range good {
		for _, in := range [][]byte{good, append(append(bytes.Clone(good[:i]), good[i]^1), good[i+1:]...)} {
			var memo, plain ReplyState
			n1, done1, err1 := m.Feed(&memo, in, e)
			n2, done2, err2 := plain.Feed(in, e)
			if n1 != n2 || done1 != done2 || err1 != err2 || memo != plain {
				t.Fatalf("byte %d of %q: %d %v %v %+v, want %d %v %v %+v", i, in, n1, done1, err1, memo, n2, done2, err2, plain)
			}
		}
	}
	var s ReplyState
	if _, _, err := m.Feed(&s, good, &Expect{Body: []byte("Hello, Wurld!")}); err != nil || s.Matches() {
		t.Errorf("another expectation: error %v, matches %v", err, s.Matches())
	}
}

func BenchmarkMemo(b *testing.B) {
	in := AppendResponse(nil, 200, []byte("Hello, World!"), false)
	e := &Expect{Body: []byte("Hello, World!")}
	var m Memo
	var s ReplyState
	b.ReportAllocs()
	for b.Loop() {
		if _, done, err := m.Feed(&s, in, e); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}
