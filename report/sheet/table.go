// Package sheet is what reports are made of: tables whose cells say how far they can be trusted, with footnotes, and their
// writing for a terminal and as Markdown.
package sheet

import (
	"fmt"
	"slices"
)

// Mood is how far a cell can be trusted. The zero value is Good.
type Mood int

// The moods.
const (
	Good    Mood = iota
	Absent       // not measured
	Suspect      // measured, with doubts
	Struck       // measured, and INVALID
)

// Cell is a field of a table.
type Cell struct {
	Text  string
	Marks []int // the numbers of its footnotes, from 1
	Mood  Mood
	// Parts are those of Text that a terminal aligns: median, ratio, interval.
	Parts []string
	// Indent is by how many columns a terminal moves the text to the right.
	Indent int
	// Aside follows in Markdown, where there is room.
	Aside string
}

// Table has a head and rows of its length. Rows[i][0] names what row i is of; of variants they stand in the order given.
type Table struct {
	Title string
	Note  string // a sentence below the title
	Head  []string
	// HeadMarks are the footnotes of Head, nil for none.
	HeadMarks [][]int
	Rows      [][]Cell
	Left      bool // cells are names, not figures
	// Spread has the smallest and largest of the cells that have a ratio in their place; Markdown only.
	Spread *Table
}

// Footnotes are numbered from 1, and merged where they say the same. The zero value has none.
type Footnotes struct {
	list []string
	keys []string
	more []int // trials beyond the first that it speaks of, where each has its own figures
}

// Mark returns the number of a footnote, which it adds if no other has the key. The text is that of the first.
func (f *Footnotes) Mark(key, text string) int {
	if i := slices.Index(f.keys, key); i >= 0 {
		return i + 1
	}
	f.list, f.keys, f.more = append(f.list, text), append(f.keys, key), append(f.more, 0)
	return len(f.list)
}

// Count is Mark for a text with figures of one trial: Texts says of how many more, with figures of their own, it was said.
func (f *Footnotes) Count(key, text string) int {
	known := len(f.list)
	m := f.Mark(key, text)
	if m <= known {
		f.more[m-1]++
	}
	return m
}

// Uncounted calls do, which marks what was counted before, and forgets that it did.
func (f *Footnotes) Uncounted(do func()) {
	more := slices.Clone(f.more)
	do()
	f.more = more
}

// Texts returns the footnotes in the order of their numbers.
func (f *Footnotes) Texts() []string {
	out := slices.Clone(f.list)
	for i, n := range f.more {
		if n > 0 {
			out[i] += fmt.Sprintf(" – and alike in %d more", n) + Plural(n, " trial")
		}
	}
	return out
}

// Plural returns the word for n things: with an s, unless n is 1.
func Plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
