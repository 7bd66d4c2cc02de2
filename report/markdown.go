package report

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/quantity"
	"github.com/millrace/millrace/plots"
	"github.com/millrace/millrace/report/sheet"
	"github.com/millrace/millrace/results"
)

// Markdown returns the report of a run as one page, with links to the figures relative to the run's directory.
func Markdown(res *results.Result, figures []plots.Figure) ([]byte, error) {
	d := newDocument(res)
	p := &page{}
	r := res.Run
	p.Line("# %s: %s", r.Scenario.Name, r.ID)
	p.Line("%s", strings.Join(strings.Fields(r.Scenario.Why), " "))
	for _, s := range d.preface() {
		p.Line("%s", sheet.Escape(s))
	}
	p.Line("## Results")
	for _, t := range d.tables {
		p.Line("**%s**", sheet.Escape(t.Title))
		if t.Note != "" {
			p.Line("%s", sheet.Escape(t.Note))
		}
		p.Table(t)
		if t.Spread != nil {
			p.Line("The same over the rounds: median (smallest–largest)")
			p.Table(*t.Spread)
		}
	}
	p.crossings(d)
	for _, s := range d.support {
		p.Line("%s", sheet.Escape(s))
	}
	if d.outcomes != "" {
		p.Line("%s", d.outcomes)
	}
	if notes := d.notes.Texts(); len(notes) > 0 {
		var list []string
		for i, s := range notes {
			list = append(list, fmt.Sprintf("<sup>%d</sup> %s", i+1, sheet.Escape(s)))
		}
		p.Line("%s", strings.Join(list, "  \n"))
	}
	p.expectations(res)
	if err := p.figures(res, figures); err != nil {
		return nil, err
	}
	if len(d.verdicts.Rows) > 0 {
		p.Line("## Verdicts")
		p.Line("Of each trial, by variant and round; the numbers are those of the footnotes above.")
		p.Table(d.verdicts)
	}
	p.environment(r)
	p.variants(r)
	p.reproduce(r)
	return p.Bytes(), nil
}

// page is a run's report in the making.
type page struct{ sheet.Page }

// crossings says where over what is swept the winner changes.
func (p *page) crossings(d *document) {
	if len(d.crossings) == 0 {
		return
	}
	p.Line("## Where the winner changes")
	p.Line("%s", sheet.Escape(crossingsNote))
	var list []string
	for _, c := range d.crossings {
		for _, s := range c.sentences {
			list = append(list, fmt.Sprintf("- **%s**: %s", sheet.Escape(c.metric), sheet.Escape(s)))
		}
	}
	p.Line("%s", strings.Join(list, "\n"))
}

func (p *page) figures(res *results.Result, figures []plots.Figure) error {
	if len(figures) == 0 {
		return nil
	}
	p.Line("## Figures")
	var missing []string
	for _, f := range figures {
		if f.SVG == "" {
			missing = append(missing, fmt.Sprintf("- not drawn: %s, %s", f.Name, sheet.Escape(f.Note)))
			continue
		}
		link, err := filepath.Rel(res.Path, f.SVG)
		if err != nil {
			return fmt.Errorf("linking figure %s: %w", f.Name, err)
		}
		p.Line("![%s](%s)", sheet.Escape(f.Title), filepath.ToSlash(link))
		p.Line("%s", sheet.Escape(f.Caption))
	}
	if len(missing) > 0 {
		p.Line("%s", strings.Join(missing, "\n"))
	}
	return nil
}

func (p *page) environment(r *results.Run) {
	p.Line("## Machine and environment")
	t := sheet.Table{Head: []string{"what", "value"}}
	add := func(what, value string) {
		if value != "" {
			t.Rows = append(t.Rows, []sheet.Cell{{Text: what}, {Text: value}})
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
	p.Table(t)
}

func (p *page) variants(r *results.Run) {
	p.Line("## Variants")
	t := sheet.Table{Head: []string{"variant", "framework", "what it is", "flags", "SHA-256"}}
	for _, v := range r.Variants {
		sum := v.SHA256
		if len(sum) > 12 {
			sum = sum[:12]
		}
		t.Rows = append(t.Rows, []sheet.Cell{{Text: v.Name}, {Text: v.Framework}, {Text: v.Doc}, {Text: strings.Join(v.Settings(), " ")}, {Text: sum}})
	}
	p.Table(t)
	if len(r.Env.Modules) > 0 {
		t := sheet.Table{Head: []string{"module", "version"}}
		for _, k := range slices.Sorted(maps.Keys(r.Env.Modules)) {
			t.Rows = append(t.Rows, []sheet.Cell{{Text: k}, {Text: r.Env.Modules[k]}})
		}
		p.Table(t)
	}
}

func (p *page) reproduce(r *results.Run) {
	p.Line("## How to reproduce it")
	p.Line("```sh\n%s\n```", command(r))
	p.Line("The seed %d gives the same arrivals and the same order of the variants:", r.Seed)
	var list []string
	for i, order := range r.Order {
		text := strings.Join(order, ", ")
		if i < len(r.StepOrder) && len(r.Variants) > 0 {
			var parts []string
			for k, step := range r.StepOrder[i] {
				parts = append(parts, fmt.Sprintf("at %s %s", step, strings.Join(order[k*len(r.Variants):(k+1)*len(r.Variants)], ", ")))
			}
			text = strings.Join(parts, "; ")
		}
		list = append(list, fmt.Sprintf("%d. %s", i+1, sheet.Escape(text)))
	}
	p.Line("%s", strings.Join(list, "\n"))
}
