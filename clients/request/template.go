package request

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/millrace/millrace/internal/wire"
)

// The counter's place in a path, a header's value or a body, and how to write those three characters themselves.
var (
	counter = []byte("{n}")
	escaped = []byte("{{n}}")
)

// Template is text with any number of places for a counter: {n} is the number of the request in the whole stream, over all
// agents and threads; {{n}} stands for the characters {n}. The zero value is the empty text. It does not change, and may
// be shared.
type Template struct {
	// pieces[i] comes before counter i, the last one behind them all. Nil: empty.
	pieces [][]byte
	fixed  int // bytes of all pieces
	// width is the least that a counter takes: shorter ones are followed by blanks.
	width int
}

// numberWidth is the most decimal digits that a number has, of an int64.
const numberWidth = 19

// JSONBody is an object of exactly n bytes with the request's number: {"n":123 …,"data":"…"}, with blanks behind the number up
// to the width of the longest. n must be 64 or more.
func JSONBody(n int) Template {
	head, middle, tail := `{"n":`, `,"data":"`, `"}`
	t := Template{width: numberWidth}
	t.add([]byte(head))
	data := append([]byte(middle), wire.Payload(n-len(head)-numberWidth-len(middle)-len(tail))...)
	t.add(append(data, tail...))
	return t
}

// ParseTemplate reads a template. It can't fail: whatever is neither {n} nor {{n}} stands for itself, and so does all of a
// text that is not UTF-8, such as a picture, in which the three bytes may turn up by chance.
func ParseTemplate(text []byte) Template {
	var t Template
	var piece []byte
	if !utf8.Valid(text) {
		return fixedText(text)
	}
	for len(text) > 0 {
		switch {
		case bytes.HasPrefix(text, escaped):
			piece, text = append(piece, counter...), text[len(escaped):]
		case bytes.HasPrefix(text, counter):
			t.add(piece)
			piece, text = nil, text[len(counter):]
		default:
			piece, text = append(piece, text[0]), text[1:]
		}
	}
	t.add(piece)
	return t
}

// fixedText is a template that stands for a text as it is.
func fixedText(text []byte) (t Template) {
	t.add(bytes.Clone(text))
	return t
}

// Text appends text as it is.
func (t *Template) Text(text string) { t.Join(fixedText([]byte(text))) }

// Join appends another template.
func (t *Template) Join(o Template) {
	out := Template{pieces: append([][]byte(nil), t.pieces...), fixed: t.fixed + o.fixed, width: max(t.width, o.width)}
	if last := len(out.pieces) - 1; last >= 0 && len(o.pieces) > 0 {
		out.pieces[last] = append(bytes.Clone(out.pieces[last]), o.pieces[0]...)
		o.pieces = o.pieces[1:]
	}
	out.pieces = append(out.pieces, o.pieces...)
	*t = out
}

func (t *Template) add(piece []byte) {
	t.pieces = append(t.pieces, piece)
	t.fixed += len(piece)
}

// Counts reports whether it has a counter, so that it gives another text for every number.
func (t *Template) Counts() bool { return len(t.pieces) > 1 }

// Len is the bytes of the text for a number, which is not negative.
func (t *Template) Len(n int64) int {
	if len(t.pieces) <= 1 {
		return t.fixed
	}
	return t.fixed + (len(t.pieces)-1)*max(t.width, digits(n))
}

// Append appends the text for a number. It allocates nothing where dst has room.
func (t *Template) Append(dst []byte, n int64) []byte {
	for i, p := range t.pieces {
		if i > 0 {
			from := len(dst)
			dst = strconv.AppendInt(dst, n, 10)
			for len(dst)-from < t.width {
				dst = append(dst, ' ')
			}
		}
		dst = append(dst, p...)
	}
	return dst
}

// digits is how many decimal digits a number has that is not negative.
func digits(n int64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}
