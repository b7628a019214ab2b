package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/recorder"
)

type holdCmd struct {
	Recording string `arg:"" help:"a recording's folder, its name, or a call's id: all its parts"`
	Why       string `required:"" placeholder:"TEXT" help:"the reason, for the evidence log"`
	Matter    string `placeholder:"NAME" help:"what it is held for: each matter has a hold of its own"`
}

type unholdCmd struct {
	Recording string `arg:"" help:"a recording's folder, its name, or a call's id: all its parts"`
	Why       string `required:"" placeholder:"TEXT" help:"the reason, for the evidence log"`
	Matter    string `placeholder:"NAME" help:"the matter whose hold ends"`
}

type eraseCmd struct {
	Recording string `arg:"" help:"a recording's folder, its name, or a call's id: all its parts"`
	Why       string `required:"" placeholder:"TEXT" help:"the reason, for the evidence log"`
	Yes       bool   `help:"do not ask"`
	JSON      bool   `help:"as JSON"`
}

type pruneCmd struct {
	DryRun       bool   `help:"say what would be erased, and erase nothing"`
	Reclass      bool   `help:"by record.retention as it is now, instead of by what each recording says"`
	ClockIsRight bool   `help:"the clock is right: for a clock that is doubted because nothing was recorded for long"`
	Why          string `placeholder:"TEXT" help:"the reason, for the evidence log; default retention"`
	Most         int    `default:"1000" help:"so many at most"`
	JSON         bool   `help:"as JSON"`
}

// Run holds.
func (k holdCmd) Run(ctx context.Context, c *cli, p *process) error {
	return c.careFor(ctx, p, k.Recording, console.CareRequest{Act: console.CareHold, Matter: k.Matter, Why: k.Why}, func(req console.CareRequest, _ []byte) {
		fmt.Fprintln(p.out, "held", plain(req.Folder))
	})
}

// Run frees.
func (k unholdCmd) Run(ctx context.Context, c *cli, p *process) error {
	return c.careFor(ctx, p, k.Recording, console.CareRequest{Act: console.CareUnhold, Matter: k.Matter, Why: k.Why}, func(req console.CareRequest, raw []byte) {
		var h Held
		if err := json.Unmarshal(raw, &h); err == nil && h.Left > 0 {
			fmt.Fprintf(p.out, "still held for %d other matters: %s\n", h.Left, plain(req.Folder))
			return
		}
		fmt.Fprintln(p.out, "no longer held", plain(req.Folder))
	})
}

// Run erases.
func (k eraseCmd) Run(ctx context.Context, c *cli, p *process) error {
	all := []json.RawMessage{}
	if !k.Yes {
		if err := k.sure(c, p); err != nil {
			return err
		}
	}
	err := c.careFor(ctx, p, k.Recording, console.CareRequest{Act: console.CareErase, Why: k.Why}, func(_ console.CareRequest, raw []byte) {
		all = append(all, raw)
		if k.JSON {
			return
		}
		var e recorder.Erasure
		if err := json.Unmarshal(raw, &e); err == nil {
			tellErasure(p.out, e)
		}
	})
	if k.JSON {
		err = errors.Join(printJSON(p, all), err)
	}
	return err
}

// sure asks whether it is meant.
func (k eraseCmd) sure(c *cli, p *process) error {
	dirs, err := c.recordings(p, k.Recording)
	if err != nil {
		return err
	}
	if p.in == nil || !isTerminal(p.in) {
		return &usageError{err: errors.New("recordings erase: it can't be undone, and nobody is there to be asked"), hint: "--yes says that it is meant"}
	}
	fmt.Fprintf(p.err, "erase for good:\n  %s\nyes? ", strings.Join(dirs, "\n  "))
	line, err := bufio.NewReader(io.LimitReader(p.in, 100)).ReadString('\n')
	if err != nil || strings.TrimSpace(strings.ToLower(line)) != "yes" {
		return errors.New("recordings erase: nothing was erased")
	}
	return nil
}

func tellErasure(out io.Writer, e recorder.Erasure) {
	fmt.Fprintln(out, "erased", plain(e.Folder))
	for _, x := range e.Exports {
		what := map[string]string{
			recorder.ExportErased: "erased too", recorder.ExportGone: "nothing lies there any more", recorder.ExportChanged: "something else lies there now: left alone",
			recorder.ExportUnknown: "not known what became of it: ask who had it", recorder.ExportThere: "STILL THERE: " + x.Text,
		}[x.State]
		fmt.Fprintf(out, "  exported %s by %s to %s: %s\n", x.Time.UTC().Format(time.DateTime), plain(x.Who), plain(x.To), plain(what))
	}
	for _, text := range e.Pending {
		fmt.Fprintf(out, "  A COPY IS NOT ERASED YET: %s; tried again %s\n", plain(text), e.Next.UTC().Format(time.DateTime))
	}
}

// Run prunes.
func (k pruneCmd) Run(ctx context.Context, c *cli, p *process) error {
	if k.Most < 1 {
		return &usageError{err: fmt.Errorf("recordings prune: --most: got %d, want 1 or more", k.Most)}
	}
	cat, err := c.catalog(p)
	if err != nil {
		return err
	}
	defer cat.Close() //nolint:errcheck // nothing was written by it
	var done recorder.Pruned
	if k.DryRun {
		err = k.dry(ctx, c, p, cat, &done)
	} else {
		req := console.CareRequest{Act: console.CarePrune, Why: k.Why, Reclass: k.Reclass, ClockIsRight: k.ClockIsRight, Most: k.Most}
		err = c.care(ctx, p, cat.Dir(""), []console.CareRequest{req}, func(_ console.CareRequest, raw any, err error) error {
			if err != nil {
				return err
			}
			b, err := asRaw(raw)
			if err != nil {
				return err
			}
			return json.Unmarshal(b, &done)
		})
	}
	if err != nil {
		if strings.Contains(err.Error(), recorder.ErrClock.Error()) { // the daemon's words too
			return &hinted{err, "if the clock is right, --clock-is-right says so"}
		}
		return err
	}
	if k.JSON {
		return printJSON(p, done)
	}
	return tellPruned(p.out, &done)
}

func (k pruneCmd) dry(ctx context.Context, c *cli, p *process, cat *recorder.Catalog, done *recorder.Pruned) error {
	cfg := recorder.PruneConfig{Most: k.Most, ClockIsRight: k.ClockIsRight, Due: dueOf(ctx, cat.Dir(""), time.Now())}
	if k.Reclass {
		l, _ := config.Peek(c.input(p))
		if l == nil {
			return &usageError{err: errors.New("recordings prune: --reclass: no configuration could be read"), hint: "-c FILE names it"}
		}
		policy := l.Config.Record.Retention.Policy()
		cfg.Reclass, cfg.Due = &policy, nil
	}
	d, err := cat.PruneDry(ctx, cfg)
	if err == nil {
		*done = *d
	}
	return err
}

func tellPruned(out io.Writer, d *recorder.Pruned) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, i := range d.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.State, i.Until.UTC().Format(time.DateOnly), plain(i.Class), plain(i.Folder), plain(i.Text))
	}
	for _, e := range d.Pending {
		fmt.Fprintf(w, "pending\t%s\t\t%s\t%s\n", e.Next.UTC().Format(time.DateOnly), plain(e.Folder), plain(strings.Join(e.Pending, "; ")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, d)
	return err
}

// careFor has the same done with all that a name means, and stops at the first that can't be done.
func (c *cli) careFor(ctx context.Context, p *process, name string, req console.CareRequest, tell func(console.CareRequest, []byte)) error {
	dirs, err := c.recordings(p, name)
	if err != nil {
		return err
	}
	var reqs []console.CareRequest
	dir := ""
	for _, d := range dirs {
		dir, req.Folder = home(d)
		req.Folder = strings.TrimSuffix(req.Folder, ".partial")
		reqs = append(reqs, req)
	}
	return c.care(ctx, p, dir, reqs, func(req console.CareRequest, done any, err error) error {
		if err != nil {
			return err
		}
		raw, err := asRaw(done)
		if err == nil {
			tell(req, raw)
		}
		return err
	})
}

// asRaw gives an answer as JSON, the daemon's or our own.
func asRaw(done any) (json.RawMessage, error) {
	if raw, ok := done.(json.RawMessage); ok {
		return raw, nil
	}
	return json.Marshal(done)
}
