package glyph

import (
	"hash/fnv"
	"image/color"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/millrace/millrace/plots/frame"
	"github.com/millrace/millrace/results"
)

// Style is how a variant is drawn in every figure of every run.
type Style struct {
	Color  color.NRGBA
	Width  vg.Length
	Dashes []vg.Length // empty: solid
	Glyph  draw.GlyphDrawer
}

// models is the one table of the models' looks: colours of Okabe and Ito ("Color Universal Design", 2008), which people
// with any kind of colour vision tell apart, and a dash and a glyph for print without colour. The first ones are drawn
// first, so the wide solid line lies below and shows through the gaps of the others.
var models = []struct {
	name  string
	style Style
}{
	{"goroutine", Style{frame.RGB(0x0072B2), 2.2, nil, draw.CircleGlyph{}}},
	{"gnet", Style{frame.RGB(0xD55E00), 1.8, []vg.Length{9, 3}, draw.BoxGlyph{}}},
	{"netpoll", Style{frame.RGB(0x009E73), 1.8, []vg.Length{5, 2.5}, Wedge{}}},
	{"fasthttp", Style{frame.RGB(0xCC79A7), 1.8, []vg.Length{9, 2.5, 2, 2.5}, Diamond{}}},
	{"nethttp", Style{frame.RGB(0x56B4E9), 1.8, []vg.Length{2, 2}, draw.PyramidGlyph{}}},
	{"workers", Style{frame.RGB(0xE69F00), 1.8, []vg.Length{5, 2, 1.5, 2, 1.5, 2}, Cross{}}},
}

// otherColors are for models that the table doesn't know, variantDashes for variants of a model beside the plain one.
var (
	otherColors   = []color.NRGBA{frame.RGB(0x882255), frame.RGB(0x7F7F7F), frame.RGB(0x8C7A00), frame.RGB(0x332288)}
	variantDashes = [][]vg.Length{{3, 2}, {12, 3}, {7, 2, 1.5, 2}, {1.5, 2}, {12, 3, 4, 3}, {4, 4}, {9, 2, 1.5, 2, 1.5, 2}, {2, 4}}
)

// Styles gives every variant its look. A plain model has the look of its name whatever else is drawn; a variant has the
// colour and glyph of its model and a dash chosen by its name, or the next free one where two of a model would be alike.
func Styles(variants []results.Variant) map[string]Style {
	styles := make(map[string]Style, len(variants))
	colors := map[string]color.NRGBA{}
	takenColor, takenDash := map[int]bool{}, map[string]map[int]bool{}
	for _, v := range variants {
		s, known := modelStyle(v.Model)
		if !known {
			if _, ok := colors[v.Model]; !ok {
				colors[v.Model] = otherColors[choose(v.Model, len(otherColors), takenColor)]
			}
			s = Style{Color: colors[v.Model], Width: 1.8, Glyph: draw.RingGlyph{}}
		}
		if _, setting, ok := strings.Cut(v.Name, "/"); ok {
			if takenDash[v.Model] == nil {
				takenDash[v.Model] = map[int]bool{}
			}
			s.Dashes = variantDashes[choose(setting, len(variantDashes), takenDash[v.Model])]
			s.Width = 1.6
		}
		styles[v.Name] = s
	}
	return styles
}

func modelStyle(name string) (Style, bool) {
	for _, m := range models {
		if m.name == name {
			return m.style, true
		}
	}
	return Style{}, false
}

// choose picks one of n by name, or the next that is not taken, and takes it. With all taken it repeats.
func choose(name string, n int, taken map[int]bool) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	first := int(h.Sum32() % uint32(n))
	for i := range n {
		if k := (first + i) % n; !taken[k] {
			taken[k] = true
			return k
		}
	}
	return first
}

// Line is the style of a variant's main line.
func (s Style) Line() draw.LineStyle {
	return draw.LineStyle{Color: s.Color, Width: s.Width, Dashes: s.Dashes}
}

// Thin is the style of a single round behind it.
func (s Style) Thin() draw.LineStyle {
	c := s.Color
	c.A = 80
	return draw.LineStyle{Color: c, Width: 0.5}
}
