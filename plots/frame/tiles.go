package frame

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// tiles places rows of plots on c so that their data areas are of the same size, and in line with each other; a nil plot
// leaves its place empty. plot.Align does the same where every plot would fit on an equal share of the page, which a plot with
// long names at its axis does not.
func tiles(rows [][]*plot.Plot, c draw.Canvas, padX, padY vg.Length) [][]draw.Canvas {
	columns := len(rows[0])
	cells := make([][]draw.Canvas, len(rows))
	for r := range cells {
		cells[r] = make([]draw.Canvas, columns)
		for i := range cells[r] {
			cells[r][i] = draw.Crop(c, 0, 4*width, 0, 4*height) // room for any names, for a first measure
		}
	}
	// What stands around the data depends a little on the place of the ticks, and so on the size of the data.
	for range 3 {
		left, right := make([]vg.Length, columns), make([]vg.Length, columns)
		below, above := make([]vg.Length, len(rows)), make([]vg.Length, len(rows))
		w, h := c.Size().X-padX*vg.Length(columns-1), c.Size().Y-padY*vg.Length(len(rows)-1)
		for r, row := range rows {
			for i, p := range row {
				if p == nil {
					continue
				}
				data, cell := p.DataCanvas(cells[r][i]), cells[r][i]
				left[i], right[i] = max(left[i], data.Min.X-cell.Min.X), max(right[i], cell.Max.X-data.Max.X)
				below[r], above[r] = max(below[r], data.Min.Y-cell.Min.Y), max(above[r], cell.Max.Y-data.Max.Y)
			}
			h -= below[r] + above[r]
		}
		for i := range left {
			w -= left[i] + right[i]
		}
		w, h = max(1, w/vg.Length(columns)), max(1, h/vg.Length(len(rows)))
		y := c.Max.Y
		for r, row := range rows {
			x := c.Min.X
			for i, p := range row {
				cell := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
					Min: vg.Point{X: x, Y: y - above[r] - h - below[r]}, Max: vg.Point{X: x + left[i] + w + right[i], Y: y},
				}}
				x = cell.Max.X + padX
				if p != nil { // one that needs less room gets less of it
					data := p.DataCanvas(cells[r][i])
					cell.Min.X += left[i] - (data.Min.X - cells[r][i].Min.X)
					cell.Max.X -= right[i] - (cells[r][i].Max.X - data.Max.X)
					cell.Min.Y += below[r] - (data.Min.Y - cells[r][i].Min.Y)
					cell.Max.Y -= above[r] - (cells[r][i].Max.Y - data.Max.Y)
				}
				cells[r][i] = cell
			}
			y -= above[r] + h + below[r] + padY
		}
	}
	return cells
}
