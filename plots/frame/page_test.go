package frame

import (
	"strings"
	"testing"
)

func TestSmallPrintIsBounded(t *testing.T) {
	var notes []string
	for range 30 {
		notes = append(notes, "left out: gnet round 1 INVALID: offered rate, arrivals 7.0 % below the plan in second 4.")
	}
	f := &Page{Foot: append(notes, "the source")}
	lines := f.smallPrint(Print(7.5, false, Ink), width-2*margin)
	if len(lines) != maxFootLines || lines[len(lines)-1] != "the source" || !strings.Contains(lines[len(lines)-2], "and 25 more notes") {
		t.Errorf("got %d lines: %q", len(lines), lines)
	}
	if !strings.HasSuffix(lines[len(lines)-2], "see the report.") {
		t.Errorf("the rest is not said to be in the report: %q", lines)
	}
	f.Rest = "the table"
	if lines = f.smallPrint(Print(7.5, false, Ink), width-2*margin); !strings.HasSuffix(lines[len(lines)-2], "see the table.") {
		t.Errorf("the rest is not said to be in the table: %q", lines)
	}
}
