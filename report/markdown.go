package report

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots"
	"github.com/millrace/millrace/results"
)

// Markdown returns the report of a run as one page, with links to the figures relative to the run's directory.
func Markdown(res *results.Result, figures []plots.Figure) ([]byte, error) {
	d := newDocument(res)
	p := &page{}
	r := res.Run
	p.line("# %s: %s", r.Scenario.Name, r.ID)
	p.line("%s", strings.Join(strings.Fields(r.Scenario.Why), " "))
	for _, s := range d.preface() {
		p.line("%s", escape(s))
	}
	p.line("## Results")
	for _, t := range d.tables {
		p.line("**%s**", escape(t.title))
		if t.note != "" {
			p.line("%s", escape(t.note))
		}
		p.table(t)
		if t.spread != nil {
			p.line("The same over the rounds: median (smallest–largest)")
			p.table(*t.spread)
		}
	}
	for _, s := range d.support {
		p.line("%s", escape(s))
	}
	if d.outcomes != "" {
		p.line("%s", d.outcomes)
	}
	if notes := d.notes.texts(); len(notes) > 0 {
		var list []string
		for i, s := range notes {
			list = append(list, fmt.Sprintf("<sup>%d</sup> %s", i+1, escape(s)))
		}
		p.line("%s", strings.Join(list, "  \n"))
	}
	if err := p.figures(res, figures); err != nil {
		return nil, err
	}
	if len(d.verdicts.rows) > 0 {
		p.line("## Verdicts")
		p.line("Of each trial, by variant and round; the numbers are those of the footnotes above.")
		p.table(d.verdicts)
	}
	p.environment(r)
	p.variants(r)
	p.reproduce(r)
	return p.b.Bytes(), nil
}

// page is a Markdown page in the making.
type page struct{ b bytes.Buffer }

// line writes a block of its own.
func (p *page) line(format string, args ...any) {
	if p.b.Len() > 0 {
		p.b.WriteByte('\n')
	}
	fmt.Fprintf(&p.b, format+"\n", args...)
}

// table writes a table: names to the left, figures to the right.
func (p *page) table(t table) {
	p.b.WriteByte('\n')
	align := make([]string, len(t.head))
	for k := range align {
		align[k] = "---:"
		if k == 0 || t.head[k] == "verdict" || t.title == "" || t.left {
			align[k] = "---"
		}
	}
	head := slices.Clone(t.head)
	for k, marks := range t.headMarks {
		head[k] += sup(marks)
	}
	rows := [][]string{head, align}
	for _, row := range t.rows {
		var cells []string
		for _, c := range row {
			cells = append(cells, markdownCell(c))
		}
		rows = append(rows, cells)
	}
	for _, cells := range rows {
		p.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
}

func markdownCell(c cell) string {
	text := escape(c.text)
	if c.mood == struck {
		text = "~~" + text + "~~"
	}
	text += sup(c.marks)
	if c.aside != "" {
		text += " " + escape(c.aside)
	}
	return text
}

func sup(marks []int) string {
	if len(marks) == 0 {
		return ""
	}
	return "<sup>" + strings.Trim(strings.ReplaceAll(fmt.Sprint(marks), " ", ", "), "[]") + "</sup>"
}

func (p *page) figures(res *results.Result, figures []plots.Figure) error {
	if len(figures) == 0 {
		return nil
	}
	p.line("## Figures")
	var missing []string
	for _, f := range figures {
		if f.SVG == "" {
			missing = append(missing, fmt.Sprintf("- not drawn: %s, %s", f.Name, escape(f.Note)))
			continue
		}
		link, err := filepath.Rel(res.Path, f.SVG)
		if err != nil {
			return fmt.Errorf("linking figure %s: %w", f.Name, err)
		}
		p.line("![%s](%s)", escape(f.Title), filepath.ToSlash(link))
		p.line("%s", escape(f.Caption))
	}
	if len(missing) > 0 {
		p.line("%s", strings.Join(missing, "\n"))
	}
	return nil
}

func (p *page) environment(r *results.Run) {
	p.line("## Machine and environment")
	t := table{head: []string{"what", "value"}}
	add := func(what, value string) {
		if value != "" {
			t.rows = append(t.rows, []cell{{text: what}, {text: value}})
		}
	}
	e := r.Env
	add("CPU", e.CPU)
	add("cores", fmt.Sprint(e.Cores))
	add("CPU split", splitText(r.Split))
	add("memory", quantity.Format(float64(e.MemBytes), quantity.Bytes))
	add("kernel", e.Kernel)
	add("virtualisation", e.Virtual)
	add("CPU governor", e.Governor)
	add("Go", e.Go)
	add("GOMAXPROCS of servers", e.GOMAXPROCS)
	add("GOGC of servers", e.GOGC)
	commit := e.Commit
	if e.Dirty {
		commit += " with uncommitted changes"
	}
	add("millrace", strings.TrimSpace(e.Millrace+" "+commit))
	add("method", fmt.Sprint(r.Method))
	add("load engine", r.Engine)
	for _, k := range slices.Sorted(maps.Keys(e.Limits)) {
		add("limit "+k, fmt.Sprint(e.Limits[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(e.Sysctls)) {
		add(k, e.Sysctls[k])
	}
	p.table(t)
}

func (p *page) variants(r *results.Run) {
	p.line("## Variants")
	t := table{head: []string{"variant", "framework", "what it is", "flags", "SHA-256"}}
	for _, v := range r.Variants {
		sum := v.SHA256
		if len(sum) > 12 {
			sum = sum[:12]
		}
		t.rows = append(t.rows, []cell{{text: v.Name}, {text: v.Framework}, {text: v.Doc}, {text: strings.Join(v.Args, " ")}, {text: sum}})
	}
	p.table(t)
	if len(r.Env.Modules) > 0 {
		t := table{head: []string{"module", "version"}}
		for _, k := range slices.Sorted(maps.Keys(r.Env.Modules)) {
			t.rows = append(t.rows, []cell{{text: k}, {text: r.Env.Modules[k]}})
		}
		p.table(t)
	}
}

func (p *page) reproduce(r *results.Run) {
	p.line("## How to reproduce it")
	p.line("```sh\n%s\n```", command(r))
	p.line("The seed %d gives the same arrivals and the same order of the variants:", r.Seed)
	var list []string
	for i, order := range r.Order {
		list = append(list, fmt.Sprintf("%d. %s", i+1, escape(strings.Join(order, ", "))))
	}
	p.line("%s", strings.Join(list, "\n"))
}

// escape keeps text from being taken for Markdown or HTML.
func escape(s string) string {
	return strings.NewReplacer("|", "\\|", "*", "\\*", "<", "&lt;", "_", "\\_", "`", "\\`", "~", "\\~", "\n", " ").Replace(s)
}
