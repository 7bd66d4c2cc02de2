package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner"
)

// liveLine shows how a run goes: one line that is rewritten on a terminal, a line for the begin and the end of each
// trial elsewhere. It is used by one goroutine at a time.
type liveLine struct {
	w        io.Writer
	terminal bool
	color    bool
	shown    time.Time
	dirty    bool
}

// liveEvery is how often the line is rewritten.
const liveEvery = 200 * time.Millisecond

func newLiveLine(w io.Writer, terminal bool) *liveLine {
	return &liveLine{w: w, terminal: terminal, color: terminal && os.Getenv("NO_COLOR") == ""}
}

func (l *liveLine) show(e runner.Event) {
	switch {
	case e.Kind == "end":
		l.clear()
		fmt.Fprintln(l.w, endLine(e))
	case e.Kind == "look":
		l.clear()
		fmt.Fprintf(l.w, "%s (%s)\n", e.Why, left(e))
	case !l.terminal && e.Kind == "begin":
		fmt.Fprintf(l.w, "round %d/%d  %s  begins, %s\n", e.Round, e.Rounds, who(e), left(e))
	case l.terminal && (e.Kind == "begin" || e.Kind == "wait" || time.Since(l.shown) >= liveEvery):
		l.shown = time.Now()
		l.rewrite(e)
	}
}

func (l *liveLine) rewrite(e runner.Event) {
	line := progressLine(e)
	if width, _, err := term.GetSize(2); err == nil && width > 1 && len([]rune(line)) >= width {
		line = string([]rune(line)[:width-1])
	}
	if l.color {
		line = "\x1b[36m" + line + "\x1b[0m"
	}
	fmt.Fprintf(l.w, "\r\x1b[K%s", line)
	l.dirty = true
}

func (l *liveLine) clear() {
	if l.dirty {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.dirty = false
	}
}

// close leaves the terminal's line empty.
func (l *liveLine) close() { l.clear() }

// progressLine is round, server, phase, offered and achieved rate, p99, generator lag, RSS, goroutines, time left.
func progressLine(e runner.Event) string {
	if e.Kind == "wait" {
		return fmt.Sprintf("%d/%d  %s  waits for a quiet host  %s", e.Round, e.Rounds, who(e), left(e))
	}
	parts := []string{
		fmt.Sprintf("%d/%d", e.Round, e.Rounds), who(e), or(e.Load.Phase, "starting"),
		fmt.Sprintf("%s → %s", quantity.Format(e.Load.OfferedRPS, quantity.Number), quantity.Format(e.Load.AchievedRPS, quantity.PerSecond)),
		"p99 " + quantity.Format(float64(e.Load.P99Ns), quantity.Time), "lag " + quantity.Format(float64(e.Load.LagP99Ns), quantity.Time),
	}
	if v := e.Server.RSSBytes; v != nil {
		parts = append(parts, "RSS "+quantity.Format(float64(*v), quantity.Bytes))
	}
	if v := e.Server.Goroutines; v != nil {
		parts = append(parts, fmt.Sprintf("%d goroutines", *v))
	}
	return strings.Join(append(parts, left(e)), "  ")
}

// endLine says in plain words how a trial ended.
func endLine(e runner.Event) string {
	t := e.Ended
	line := fmt.Sprintf("round %d/%d  %-18s %-8s %s", e.Round, e.Rounds, who(e), t.Status, t.Verdict)
	if v, ok := t.Metrics["drain-time-ns"]; ok {
		line += "  drained in " + quantity.Format(v, quantity.Time)
	}
	if v, ok := t.Metrics["p99-latency-ns"]; ok {
		line += "  p99 " + quantity.Format(v, quantity.Time)
	}
	if w := t.Wait; w != nil && w.Windows > 1 {
		line += fmt.Sprintf("  waited %.1f s for a quiet host", w.Seconds)
		if w.GaveUp {
			line += " in vain"
		}
	}
	if t.Failure != nil && t.Status == results.StatusFailed {
		line += "  " + strings.SplitN(t.Failure.Reason, "\n", 2)[0]
	}
	return fmt.Sprintf("%s  (%.1f s, %s)", line, t.Seconds, left(e))
}

// who is the variant under way, with the step of a sweep.
func who(e runner.Event) string {
	if e.Step == "" {
		return e.Variant
	}
	return e.Variant + " at " + e.Step
}

// left is the time that is left, as far as it is known.
func left(e runner.Event) string {
	text := e.Left.Round(time.Second).String() + " left"
	if e.AtMost {
		return "at most " + text
	}
	return text
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
