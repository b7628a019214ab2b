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
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
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
		switch {
		case !c.OK:
			mark = "FAIL"
		case c.Warn:
			mark = "warn"
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
		for _, m := range c.Masks {
			fmt.Fprintf(w, "  masked\t%s\n", maskedText(m))
		}
		if c.NotRecorded != "" {
			fmt.Fprintf(w, "  NOT RECORDED\t%s\n", c.NotRecorded)
		}
		for _, t := range c.Tracks {
			secure := "plain"
			if t.SRTP {
				secure = "srtp"
			}
			fmt.Fprintf(w, "  %s\t%s %s\t%.1f s\t%s\n", t.Role, orDash(t.Codec), secure, t.Seconds, quality(t))
		}
		for _, s := range c.Consumers {
			fmt.Fprintf(w, "  to %s\t%s\t%s for %s\t%s\n", plain(s.Name), s.Role, s.State, time.Since(s.Since).Round(time.Second), behind(s))
		}
	}
	for _, c := range st.Waiting {
		fmt.Fprintf(w, "%s\t%s\tagent %s\t%s\n", c.ID, c.State, orDash(c.Agent), c.Cause)
	}
	printKept(w, st)
	return w.Flush()
}

// printKept says what becomes of sealed recordings.
func printKept(w io.Writer, st endpoint.Status) {
	if v := st.Vault; v != nil {
		fmt.Fprintf(w, "\nvault %s: %d recordings wait, %d brought since the start\n", v.Bucket, v.Queued, v.Vaulted)
		if v.Queued > 0 && !v.Oldest.IsZero() {
			fmt.Fprintf(w, "  oldest\t%s\n", v.Oldest.Format(time.RFC3339))
		}
		if v.Trouble != "" {
			fmt.Fprintf(w, "  IT TAKES NOTHING\tsince %s: %s: %s\n  hint\t%s\n", v.Since.UTC().Format(time.RFC3339), v.Trouble, plain(v.Text), v.Hint)
		}
	}
	if o := st.Owed; o != nil {
		fmt.Fprintf(w, "\n%d erasures wait for copies elsewhere, the oldest since %s\n  why\t%s\n  next try\t%s\n", o.Erasures, o.Oldest.UTC().Format(time.RFC3339), plain(o.Text), o.Next.UTC().Format(time.RFC3339))
	}
	for _, h := range st.Webhooks {
		fmt.Fprintf(w, "webhook %s: %d wait, %d delivered, %d given up", h.Host, h.Waiting, h.Delivered, h.GivenUp)
		switch {
		case h.Gone:
			fmt.Fprint(w, ", its service says that it is gone")
		case h.Down != "":
			fmt.Fprintf(w, ", not taken now: %s", plain(h.Down))
		}
		fmt.Fprintln(w)
	}
}

// maskedWords say on whose word a call's audio is held back.
var maskedWords = map[string]string{ //nolint:gochecknoglobals // constant
	"pci": "by hand", "hook": "by the hook: joined, and its audio held back", "hold": "the call is on hold", "consent": "until consent is given",
}

func maskedText(m endpoint.MaskStatus) string {
	s := fmt.Sprintf("%s, since %s UTC", maskedWords[m.By], m.Since.UTC().Format(clockText))
	if !m.Until.IsZero() {
		s += fmt.Sprintf(", at the latest until %s", m.Until.UTC().Format(clockText))
	}
	if m.Why != "" && m.By == "pci" {
		s += ": " + plain(m.Why)
	}
	return s
}

// quality is a track's way through the network, in words; the rating's newest 10 s are those that can't change any more.
func quality(t endpoint.TrackStatus) string {
	s := fmt.Sprintf("lost %.2f s, jitter %.1f ms", float64(t.LostSamples)/media.SampleRate, t.JitterMillis)
	if q := t.Quality; q != nil {
		s += fmt.Sprintf(", %.1f %% of packets lost, R %.0f (MOS %.1f) in the last 10 s, %.0f in the worst",
			100*float64(q.LostPackets)/float64(max(1, q.ExpectedPackets)), q.RecentR, q.RecentMOS, q.WorstR)
	}
	return s
}

// behind is how a consumer gets on, in words.
func behind(s endpoint.ConsumerStatus) string {
	text := fmt.Sprintf("%d ms behind, dropped %.2f s, %d reconnects", s.LagMillis, float64(s.DroppedSamples)/media.SampleRate, s.Reconnects)
	if s.Error != "" && s.State != stream.StateConnected {
		text += ": " + plain(s.Error)
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
