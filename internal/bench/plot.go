package bench

import (
	"bytes"
	"fmt"
	"time"
)

// The picture: panels over one axis of calls, in SVG units.
const (
	plotWidth   = 720
	panelHeight = 220
	plotLeft    = 70
	plotRight   = 20
	plotTop     = 50
	panelGap    = 40
	plotBottom  = 50
)

// curve is one line of a panel.
type curve struct {
	name, colour string
	y            []float64
}

// panel is one picture over the axis of calls.
type panel struct {
	title  string
	curves []curve
}

// Plot draws two panels against calls, as SVG: CPU time (and the floor's) and the worst time between two sweeps, or, with delays, those in order and behind a hole.
func (r *Result) Plot() []byte {
	var calls []float64
	for i := range r.Steps {
		calls = append(calls, float64(r.Steps[i].Calls))
	}
	panels := r.costPanels()
	if r.Delay {
		panels = r.delayPanels()
	}
	height := plotTop + len(panels)*(panelHeight+panelGap) - panelGap + plotBottom
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">earshot bench: %s</text>`+"\n", plotLeft, r.title())
	for i, p := range panels {
		drawPanel(&b, plotTop+i*(panelHeight+panelGap), p.title, calls, p.curves...)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">two-party calls</text>`+"\n", (plotLeft+plotWidth-plotRight)/2, height-12)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (r *Result) costPanels() []panel {
	cpu, floor, sweep := curve{name: "earshot", colour: "#1b6ca8"}, curve{name: "floor", colour: "#888888"}, curve{name: "worst sweep", colour: "#b4442c"}
	for i := range r.Steps {
		s := &r.Steps[i]
		cpu.y = append(cpu.y, s.CPUPercent)
		floor.y = append(floor.y, s.FloorMicros*float64(s.Packets)/max(s.Seconds, 1e-9)/1e4)
		sweep.y = append(sweep.y, inMillis(s.WorstSweep))
	}
	return []panel{{"CPU, % of one core", []curve{cpu, floor}}, {"worst time between sweeps, ms", []curve{sweep}}}
}

func (r *Result) delayPanels() []panel {
	draw := func(title string, of func(*Streams) Delay) panel {
		p50, p99 := curve{name: "p50", colour: "#1b6ca8"}, curve{name: "p99", colour: "#b4442c"}
		for i := range r.Steps {
			d := of(r.Steps[i].Streams)
			p50.y, p99.y = append(p50.y, inMillis(d.P50)), append(p99.y, inMillis(d.P99))
		}
		return panel{title, []curve{p50, p99}}
	}
	panels := []panel{draw("from the kernel's stamp to the consumer, in order, ms", func(s *Streams) Delay { return s.InOrder })}
	if r.LossShare > 0 {
		panels = append(panels, draw("behind a hole, ms", func(s *Streams) Delay { return s.Behind }))
	}
	return panels
}

func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (r *Result) title() string {
	kind := "RTP"
	if r.SRTP {
		kind = "SRTP"
	}
	live := ""
	if r.Live {
		live = ", a live listener per call"
	}
	if r.Delay {
		live += ", a consumer per track"
	}
	if r.LossShare > 0 {
		live += fmt.Sprintf(", %.3g %% lost", 100*r.LossShare)
	}
	return fmt.Sprintf("%s, sink %s%s, %d cores, %s", kind, r.Sink, live, r.Cores, r.At.Format("2006-01-02"))
}

func drawPanel(b *bytes.Buffer, top int, title string, x []float64, curves ...curve) {
	left, right, bottom := float64(plotLeft), float64(plotWidth-plotRight), float64(top+panelHeight)
	topX, topY := 1.0, 1.0
	for _, v := range x {
		topX = max(topX, v)
	}
	for _, c := range curves {
		for _, v := range c.y {
			topY = max(topY, v)
		}
	}
	topX, topY = roundUp(topX), roundUp(topY)
	px := func(v float64) float64 { return left + v/topX*(right-left) }
	py := func(v float64) float64 { return bottom - v/topY*panelHeight }
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", plotLeft, top-6, title)
	for i := range 6 {
		vx, vy := topX*float64(i)/5, topY*float64(i)/5
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#dddddd"/>`, left, py(vy), right, py(vy))
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="end">%.4g</text>`, left-6, py(vy)+4, vy)
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%.4g</text>`+"\n", px(vx), bottom+16, vx)
	}
	for i, c := range curves {
		b.WriteString(`<polyline fill="none" stroke-width="2" stroke="` + c.colour + `" points="`)
		for j, v := range c.y {
			fmt.Fprintf(b, "%.1f,%.1f ", px(x[j]), py(v))
		}
		b.WriteString(`"/>` + "\n")
		for j, v := range c.y {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, px(x[j]), py(v), c.colour)
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="%s" text-anchor="end">%s</text>`+"\n", right-float64(i)*100, top-6, c.colour, c.name)
	}
}

// roundUp gives the next of 1, 2, 2.5, 5 times a power of ten.
func roundUp(v float64) float64 {
	for p := 1.0; ; p *= 10 {
		for _, m := range [...]float64{1, 2, 2.5, 5} {
			if v <= m*p {
				return m * p
			}
		}
	}
}
