package main

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// table writes what was measured: by loss, then by voice.
func table(w io.Writer, said []utterance, results []result) error {
	all := make([]int, len(said))
	words := 0
	for i := range said {
		all[i] = i
		words += len(wordsOf(said[i].text))
	}
	p := &printer{w: w}
	p.line("%d utterances, %d words", len(said), words)
	p.line("")
	p.line("| packets lost | silence in the holes | concealed | the difference |")
	p.line("|---|---|---|---|")
	for i, n := range networks() {
		r := results[i]
		if n.share == 0 {
			p.line("| %s | | %s | |", n.name, withInterval(r[fillConcealed], all))
			continue
		}
		difference := func(drawn []int) float64 {
			return rate(pick(r[fillConcealed], drawn)) - rate(pick(r[fillSilent], drawn))
		}
		low, high := interval(len(said), difference)
		p.line("| %s | %s | %s | %s (%s to %s) |", n.name, withInterval(r[fillSilent], all), withInterval(r[fillConcealed], all), points(difference(all)), points(low), points(high))
	}
	p.line("")
	p.line("| voice | utterances |%s", columns(func(n network) string { return " " + n.name + " |" }))
	p.line("|---|---|%s", columns(func(network) string { return "---|" }))
	for _, voice := range append(slices.Clone(voices), "human") {
		mine := slices.DeleteFunc(slices.Clone(all), func(i int) bool { return said[i].voice != voice })
		i := -1
		p.line("| %s | %d |%s", voice, len(mine), columns(func(n network) string {
			i++
			if n.share == 0 {
				return fmt.Sprintf(" %.1f |", rate(pick(results[i][fillConcealed], mine)))
			}
			return fmt.Sprintf(" %.1f, %.1f |", rate(pick(results[i][fillSilent], mine)), rate(pick(results[i][fillConcealed], mine)))
		}))
	}
	return p.err
}

func withInterval(scores []score, all []int) string {
	f := func(drawn []int) float64 { return rate(pick(scores, drawn)) }
	low, high := interval(len(all), f)
	return fmt.Sprintf("%.1f (%.1f to %.1f)", f(all), low, high)
}

// points is a difference with its sign; nothing is +0.0.
func points(v float64) string { return fmt.Sprintf("%+.1f", math.Round(10*v)/10+0) }

func columns(cell func(network) string) (row string) {
	for _, n := range networks() {
		row += cell(n)
	}
	return row
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
