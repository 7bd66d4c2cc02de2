package kit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/wire"
)

func TestBatch(t *testing.T) {
	check := func(args []string, in string, limit int, want ...string) {
		t.Helper()
		env := testEnv(t, args...)
		s := env.NewSession()
		var b Batch
		data := []byte(in)
		var got []string
		for taken := 0; ; {
			taken += b.Fill(&s, data[taken:], limit)
			if b.Len() == 0 {
				break
			}
			copied := bytes.Clone(data)
			clear(data[:taken]) // the batch has its own copy
			out := b.Answer(env, nil, func(out []byte) []byte {
				got = append(got, string(out))
				return nil
			})
			got = append(got, string(out))
			copy(data, copied)
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%.60q: replies %.200q, want %.200q", in, got, want)
		}
		if n := env.Counters.Handled.Load(); n != int64(strings.Count(in, "HTTP/1.1")) {
			t.Errorf("%.60q: %d requests counted", in, n)
		}
	}
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	work := "GET /work HTTP/1.1\r\nHost: a\r\n\r\n"
	hello := ok("Hello, World!")
	check(nil, get+post+get[:5], 64, hello+ok("abc"))
	check(nil, get+post+post, 2, hello+ok("abc"), ok("abc"))
	check([]string{"--work=sleep=1ns"}, get+work+post, 64, hello, hello+ok("abc"))
	check(nil, get+"GARBAGE HTTP/1.1\r\n\r\n"+get[:0], 64, hello+string(wire.AppendResponse(nil, 400, StatusBody(400), true)))
}

func TestBatchLast(t *testing.T) {
	env := testEnv(t, "--protocol=frame")
	s := env.NewSession()
	var b Batch
	in := wire.AppendFrame(nil, 1, make([]byte, 2*batchBytes))
	b.Fill(&s, in, 2)
	if b.Len() != 1 || b.Last() {
		t.Errorf("a frame: %d requests, last %v; want 1, false", b.Len(), b.Last())
	}
	b.Fill(&s, []byte{0, 0, 0, 0}, 2)
	if b.Len() != 2 || !b.Last() {
		t.Errorf("a malformed frame behind: %d requests, last %v; want 2, true", b.Len(), b.Last())
	}
	b.Clear()
	if b.Len() != 0 || b.Last() || cap(b.jobs[:1][0].own) != 0 {
		t.Errorf("cleared: %d requests, %d bytes kept", b.Len(), cap(b.jobs[:1][0].own))
	}
}
