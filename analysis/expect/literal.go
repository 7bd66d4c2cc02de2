package expect

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// literalCall is the function that a number with a unit becomes before the expression is parsed: 5ms reads literal("5ms").
const literalCall = "literal"

// suffixes are the units that a number can have, behind it without a blank. The size is in the unit.
var suffixes = []struct {
	word string
	size float64
	unit string
}{
	{"ns", 1, nanoseconds}, {"us", 1e3, nanoseconds}, {"µs", 1e3, nanoseconds}, {"ms", 1e6, nanoseconds}, {"s", 1e9, nanoseconds},
	{"min", 60e9, nanoseconds}, {"h", 3600e9, nanoseconds},
	{"B", 1, bytes}, {"KiB", 1 << 10, bytes}, {"MiB", 1 << 20, bytes}, {"GiB", 1 << 30, bytes},
	{"k", 1e3, number}, {"M", 1e6, number}, {"%", 0.01, number},
	{"/s", 1, perSecond}, {"k/s", 1e3, perSecond}, {"M/s", 1e6, perSecond},
}

// literals wraps each number that has a unit, but for what stands in quotes.
func literals(text string) string {
	var b strings.Builder
	var before rune // the rune in front of the place
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '"' || r == '\'' || r == '`':
			end := quoted(text, i)
			b.WriteString(text[i:end])
			i, before = end, r
			continue
		case r >= '0' && r <= '9' && !partOfWord(before):
			end, unit := numberAt(text, i)
			if unit {
				b.WriteString(literalCall + "(" + strconv.Quote(text[i:end]) + ")")
			} else {
				b.WriteString(text[i:end])
			}
			i, before = end, '0'
			continue
		}
		b.WriteString(text[i : i+size])
		i, before = i+size, r
	}
	return b.String()
}

func partOfWord(r rune) bool {
	return r == '_' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// quoted is the place behind the string that begins at i, or the end of a text that does not end it.
func quoted(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch {
		case text[j] == '\\' && text[i] != '`':
			j++
		case text[j] == text[i]:
			return j + 1
		}
	}
	return len(text)
}

// numberAt is the place behind the number at i, and behind its unit if it has one.
func numberAt(text string, i int) (end int, unit bool) {
	end = i
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.') {
		end++
	}
	best := 0
	for _, s := range suffixes {
		rest, found := strings.CutPrefix(text[end:], s.word)
		next, _ := utf8.DecodeRuneInString(rest)
		if found && len(s.word) > best && (s.word == "%" || !partOfWord(next)) {
			best = len(s.word)
		}
	}
	return end + best, best > 0
}

// literal reads a number with its unit.
func literal(text string) (term, error) {
	at := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	for _, s := range suffixes {
		if at >= 0 && text[at:] == s.word {
			v, err := strconv.ParseFloat(text[:at], 64)
			if err != nil {
				break
			}
			return constant(text, v*s.size, s.unit), nil
		}
	}
	var known []string
	for _, s := range suffixes {
		known = append(known, s.word)
	}
	return term{}, fmt.Errorf("%q: want a number and one of %s", text, strings.Join(known, ", "))
}
