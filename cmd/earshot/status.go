package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/endpoint"
)

type statusCmd struct {
	JSON bool `help:"as JSON"`
}

// Run asks the running daemon what it hears.
func (s statusCmd) Run(ctx context.Context, c *cli, p *process) error {
	cl, err := dial(ctx, c, p)
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	raw, err := cl.Status(ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		var b bytes.Buffer
		if err := json.Indent(&b, raw, "", "  "); err != nil {
			return err
		}
		_, err = fmt.Fprintln(p.out, b.String())
		return err
	}
	var st endpoint.Status
	if err := json.Unmarshal(raw, &st); err != nil {
		return fmt.Errorf("status: answer of the daemon: %w", err)
	}
	return printStatus(p.out, st)
}

func printStatus(out io.Writer, st endpoint.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range st.Checks {
		mark := "ok"
		if !c.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", mark, c.Name, c.Text)
	}
	if st.Older != nil {
		fmt.Fprintf(w, "\nan older process (%d) still has %d calls\n", st.Older.PID, len(st.Older.Calls))
	}
	if len(st.Devices) > 1 {
		fmt.Fprintf(w, "\n%d devices\n", len(st.Devices))
		for _, d := range st.Devices {
			limit := "no limit known"
			if d.Limit > 0 {
				limit = fmt.Sprintf("of %d", d.Limit)
			}
			fmt.Fprintf(w, "%s\tof %s\t%s\t%d dialogs %s\n", orDash(d.Device), orDash(d.Supervisor), d.Status, d.Dialogs, limit)
		}
	}
	fmt.Fprintf(w, "\n%d calls\n", len(st.Calls))
	for _, c := range st.Calls {
		fmt.Fprintf(w, "%s\t%s\tagent %s\tfor %s\n", c.ID, c.State, orDash(c.Agent), time.Since(c.Started).Round(time.Second))
		if c.Masked != "" {
			fmt.Fprintf(w, "  masked\tby the %s: joined, and its audio held back\n", c.Masked)
		}
		if c.NotRecorded != "" {
			fmt.Fprintf(w, "  NOT RECORDED\t%s\n", c.NotRecorded)
		}
		for _, t := range c.Tracks {
			secure := "plain"
			if t.SRTP {
				secure = "srtp"
			}
			fmt.Fprintf(w, "  %s\t%s %s\t%.1f s\tlost %d samples%s\n", t.Role, orDash(t.Codec), secure, t.Seconds, t.LostSamples, quality(t.Quality))
		}
	}
	for _, c := range st.Waiting {
		fmt.Fprintf(w, "%s\t%s\tagent %s\t%s\n", c.ID, c.State, orDash(c.Agent), c.Cause)
	}
	return w.Flush()
}

// quality is a track's, in words; empty before it is known.
func quality(q *endpoint.TrackQuality) string {
	if q == nil {
		return ""
	}
	return fmt.Sprintf(", R %.0f (MOS %.1f) now, %.0f at worst", q.RecentR, q.RecentMOS, q.WorstR)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
