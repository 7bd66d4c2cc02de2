package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/millrace/millrace/internal/wire"
)

// The key and its answer are section 1.3's.
const (
	handshake = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)

func TestUpgrade(t *testing.T) {
	in := []byte(handshake + "rest")
	for i := range in {
		n, reply, open := Upgrade(in[:i], []byte("x"))
		if whole := i >= len(handshake); (n > 0) != whole || open != whole || !whole && string(reply) != "x" {
			t.Fatalf("%d bytes: took %d, open %v, %q", i, n, open, reply)
		}
		if n > 0 && (n != len(handshake) || !bytes.HasPrefix(reply, []byte("xHTTP/1.1 101 ")) || !bytes.Contains(bytes.ReplaceAll(reply, []byte("Websocket"), []byte("WebSocket")), []byte(accept))) {
			t.Fatalf("took %d bytes and answered %q", n, reply)
		}
	}
	refuses := func(in, status string) {
		t.Helper()
		n, reply, open := Upgrade([]byte(in), nil)
		if n != len(in) || open || !bytes.HasPrefix(reply, []byte("HTTP/1.1 "+status+" ")) {
			t.Errorf("%.60q: took %d of %d bytes, open %v, answered %.80q; want %s", in, n, len(in), open, reply, status)
		}
	}
	without := func(old, new string) string {
		changed := strings.Replace(handshake, old, new, 1)
		if changed == handshake {
			t.Fatalf("no %q", old)
		}
		return changed
	}
	refuses("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400")
	refuses("garbage\r\n\r\n", "400")
	refuses(without("Host: a\r\n", ""), "400")
	refuses(without("GET", "POST"), "405")
	refuses(without("GET / ", "GET /chat "), "404")
	refuses(without("Version: 13", "Version: 12"), "426")
	refuses(without("dGhl", ""), "400")
	refuses(without("Upgrade: websocket", "Upgrade: h2c"), "400")
	refuses(without("keep-alive, Upgrade", "close"), "400")
	refuses(without("HTTP/1.1", "HTTP/1.0"), "505")
	refuses(without("Host: a", "Host: "+strings.Repeat("a", wire.MaxHeader)), "431")
	refuses(without("Host: a", "Host a"), "400")
}

// masked is a frame as a client sends it.
func masked(op ws.OpCode, fin bool, payload string) string {
	f := ws.MaskFrameWith(ws.NewFrame(op, fin, []byte(payload)), [4]byte{0x11, 0x22, 0x83, 0xf4})
	var b bytes.Buffer
	ws.MustWriteFrame(&b, f)
	return b.String()
}

func status(code ws.StatusCode) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code)))
}

// readAll reads what comes in pieces of that many bytes, as far as it goes.
func readAll(in string, piece int) (got []string) {
	var r Reader
	from := 0
	for to := piece; ; to += piece {
		to = min(to, len(in))
		for {
			before := r
			n, m := r.Next([]byte(in[from:to]))
			if again, _ := before.Next([]byte(in[from:to])); again != n {
				return []string{"not the same from a copy"}
			}
			if n == 0 {
				break
			}
			from += n
			plain := bytes.Clone(m.Payload)
			ws.Cipher(plain, m.Mask, 0)
			if m.Op != ws.OpPong {
				got = append(got, string(rune('0'+m.Op))+string(plain))
			}
			if m.Op == ws.OpClose {
				return got
			}
		}
		if to == len(in) {
			return got
		}
	}
}

func TestReader(t *testing.T) {
	check := func(in string, want ...string) {
		t.Helper()
		for _, piece := range []int{1, 2, 3, 7, len(in)} {
			if piece < 4 && len(in) > 100_000 {
				continue
			}
			if got := readAll(in, piece); strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("%.40q in pieces of %d: %.200q, want %.200q", in, piece, got, want)
			}
		}
	}
	const text, binary, ping, closes = "1", "2", "9", "8"
	fails := func(in string, code ws.StatusCode) {
		t.Helper()
		check(masked(ws.OpBinary, true, "first")+in, binary+"first", closes+status(code))
	}
	big := strings.Repeat("0123456789", 7000)
	check(masked(ws.OpBinary, true, "one")+masked(ws.OpText, true, "grün")+masked(ws.OpBinary, true, ""), binary+"one", text+"grün", binary)
	check(masked(ws.OpBinary, true, big[:126])+masked(ws.OpBinary, true, big), binary+big[:126], binary+big)
	check(masked(ws.OpText, false, "gr\xc3")+masked(ws.OpPing, true, "p")+masked(ws.OpContinuation, false, "")+
		masked(ws.OpPong, true, "q")+masked(ws.OpContinuation, true, "\xbcn")+masked(ws.OpBinary, true, "next"),
		ping+"p", text+"grün", binary+"next")
	check(masked(ws.OpBinary, false, "a")+masked(ws.OpContinuation, true, "b")+masked(ws.OpBinary, false, "c")+masked(ws.OpContinuation, true, ""),
		binary+"ab", binary+"c")
	check(masked(ws.OpClose, true, status(1000)+"bye")+masked(ws.OpBinary, true, "late"), closes+status(1000))
	check(masked(ws.OpClose, true, status(4711)), closes+status(4711))
	check(masked(ws.OpClose, true, ""), closes)
	fails(masked(ws.OpClose, true, "x"), 1002)
	fails(masked(ws.OpClose, true, status(1005)), 1002)
	fails(masked(ws.OpClose, true, status(999)), 1002)
	fails(masked(ws.OpClose, true, status(1000)+"\xff"), 1007)
	fails("\x82\x01x", 1002)                          // not masked
	fails(masked(3, true, ""), 1002)                  // reserved
	fails("\xc2\x80\x00\x00\x00\x00", 1002)           // RSV1 without an extension
	fails(masked(ws.OpPing, false, ""), 1002)         // a fragmented ping
	fails(masked(ws.OpPing, true, big[:126]), 1002)   // a long one
	fails(masked(ws.OpContinuation, true, "x"), 1002) // of nothing
	fails(masked(ws.OpText, false, "")+masked(ws.OpText, true, ""), 1002)
	fails(masked(ws.OpText, true, "\xff"), 1007)
	fails("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01mask", 1009) // 1 MiB and a byte, before any of it has come
	fails("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", 1002)
	half := strings.Repeat("h", MaxMessage/2+1)
	fails(masked(ws.OpBinary, false, half)+masked(ws.OpContinuation, true, half), 1009)
	largest := strings.Repeat("m", MaxMessage)
	check(masked(ws.OpBinary, true, largest)+masked(ws.OpBinary, false, largest)+masked(ws.OpContinuation, true, ""), binary+largest, binary+largest)
}

func TestNextNeedsNoMoreThanMaxInput(t *testing.T) {
	if n := len(masked(ws.OpBinary, true, strings.Repeat("m", MaxMessage))); n != MaxInput {
		t.Errorf("the largest frame has %d bytes, MaxInput is %d", n, MaxInput)
	}
}

func TestReaderDoesNotAllocate(t *testing.T) {
	in := []byte(masked(ws.OpBinary, true, "message") + masked(ws.OpText, false, "te") + masked(ws.OpContinuation, true, "xt") + masked(ws.OpPing, true, "p"))
	var r Reader
	if n := testing.AllocsPerRun(100, func() {
		for from := 0; from < len(in); {
			n, _ := r.Next(in[from:])
			from += n
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzHeader holds the header's parser and writer against those of gobwas/ws.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("\x82\x01x"))
	f.Add([]byte("\x82\xfe\x00\x7e\x01\x02\x03\x04"))
	f.Add([]byte("\x89\x7f\x00\x00\x00\x00\x00\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, size, err := parseHeader(in)
		r := bytes.NewReader(in)
		want, wantErr := ws.ReadHeader(r)
		switch {
		case errors.Is(wantErr, io.EOF) || errors.Is(wantErr, io.ErrUnexpectedEOF):
			if size != 0 || err != nil {
				t.Fatalf("%x: size %d, %v of an incomplete header", in, size, err)
			}
			return
		case wantErr != nil:
			if !errors.Is(err, wantErr) {
				t.Fatalf("%x: %v, want %v", in, err, wantErr)
			}
			return
		}
		if h != want || err != nil || size != len(in)-r.Len() {
			t.Fatalf("%x: %+v of %d bytes, %v; want %+v of %d", in, h, size, err, want, len(in)-r.Len())
		}
		h = ws.Header{Fin: true, OpCode: want.OpCode, Length: want.Length}
		var b bytes.Buffer
		if err := ws.WriteHeader(&b, h); err != nil {
			t.Fatal(err)
		}
		if got := AppendHeader(nil, h.OpCode, int(h.Length)); !bytes.Equal(got, b.Bytes()) {
			t.Fatalf("header %x, want %x", got, b.Bytes())
		}
	})
}
