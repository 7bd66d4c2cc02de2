package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/runner/host"
)

// markers are the lines between which a document's generated part stands.
func markers(name string) (begin, end string) {
	return "<!-- " + name + ": generated, begin -->", "<!-- " + name + ": generated, end -->"
}

// replace puts a text between the markers of that name.
func replace(document, name, text string) (string, error) {
	begin, end := markers(name)
	head, rest, ok := strings.Cut(document, begin)
	if !ok {
		return "", fmt.Errorf("no line %s", begin)
	}
	_, rest, ok = strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("no line %s", end)
	}
	return head + begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end + rest, nil
}

// writeDocument replaces the generated part of a file.
func writeDocument(path, name, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("writing the table: %w: run it in the checkout, or use --doc", err)
	}
	whole, err := replace(string(old), name, text)
	if err != nil {
		return fmt.Errorf("writing the table into %s: %w", path, err)
	}
	return os.WriteFile(path, []byte(whole), 0o644)
}

// origin says where, when and with what something was measured.
func origin(ctx context.Context, f *flags, now time.Time, o *others) string {
	env := host.CaptureEnv(ctx, nil, "", commit)
	built := env.Commit
	if env.Dirty {
		built += " with changes"
	}
	return fmt.Sprintf("%s, %d cores, %s, %s, %s, %s; commit %s; %s; %d pairs, seed %d. Server on CPU %d, client on CPU %d, both at nice %d. Other programs took %s of the CPUs meanwhile.",
		env.CPU, env.Cores, quantity.Format(float64(env.MemBytes), quantity.Bytes), env.Virtual, env.Kernel, env.Go, built,
		now.UTC().Format("2006-01-02 15:04 UTC"), f.pairs, f.seed, serverCPU, clientCPU, priority, quantity.Share(o.share()))
}

// table is a Markdown table.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		b.WriteString("|")
		for _, c := range cells {
			b.WriteString(" " + strings.ReplaceAll(c, "|", `\|`) + " |")
		}
		b.WriteString("\n")
	}
	line(head)
	b.WriteString("|" + strings.Repeat("---|", len(head)) + "\n")
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// show is a spread as median (min–max), each by format.
func (s spread) show(format func(float64) string) string {
	switch s.N {
	case 0:
		return "–"
	case 1:
		return format(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", format(s.Median), format(s.Min), format(s.Max))
}

func asRatio(v float64) string { return fmt.Sprintf("%.2f", v) }
func asTime(v float64) string  { return quantity.Format(v, quantity.Time) }
func asRate(v float64) string  { return quantity.Format(v, quantity.PerSecond) }
func asBytes(v float64) string { return quantity.Format(v, quantity.Bytes) }
