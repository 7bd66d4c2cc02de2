package frame

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// TestTiles lays out five panels in two rows, of which the first in a row has names wider than a fifth of the page.
func TestTiles(t *testing.T) {
	const columns, gap = 3, vg.Length(14)
	rows := [][]*plot.Plot{make([]*plot.Plot, columns), make([]*plot.Plot, columns)}
	for i := range 5 {
		p := NewPanel("", "").Plot
		p.X.Max, p.Y.Max = 1, 1
		if i%columns == 0 {
			p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0.5, Label: strings.Repeat("a variant's long name ", 2+i)}}
		}
		rows[i/columns][i%columns] = p
	}
	c := draw.New(vgsvg.New(width, height))
	cells := tiles(rows, c, gap, gap)
	var first draw.Canvas
	for r, row := range rows {
		for i, p := range row {
			if p == nil {
				continue
			}
			cell := cells[r][i]
			data := p.DataCanvas(cell)
			if r+i == 0 {
				first = data
			}
			if math.Abs(float64(data.Size().X-first.Size().X)) > 0.5 || math.Abs(float64(data.Size().Y-first.Size().Y)) > 0.5 {
				t.Errorf("row %d panel %d: data area %v, want %v", r, i, data.Size(), first.Size())
			}
			if above := rows[0][i].DataCanvas(cells[0][i]); math.Abs(float64(data.Min.X-above.Min.X)) > 0.5 {
				t.Errorf("row %d panel %d begins at %v, that above it at %v", r, i, data.Min.X, above.Min.X)
			}
			if data.Size().X < 20 || cell.Min.X < c.Min.X-0.5 || cell.Max.X > c.Max.X+0.5 || cell.Min.Y < c.Min.Y-0.5 || cell.Max.Y > c.Max.Y+0.5 {
				t.Errorf("row %d panel %d: data %v in %v does not fit the page %v", r, i, data.Rectangle, cell.Rectangle, c.Rectangle)
			}
		}
	}
}
