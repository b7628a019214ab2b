package main

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/recorder"
)

// Run shows one recording, or all parts of a call.
func (k showCmd) Run(c *cli, p *process) error {
	dirs, err := c.recordings(p, k.Recording)
	if err != nil {
		return err
	}
	var all []*recorder.Manifest
	for _, d := range dirs {
		m, err := recorder.ReadManifest(d)
		if err != nil {
			return err
		}
		all = append(all, m)
	}
	if k.JSON {
		return printJSON(p, all)
	}
	for i, m := range all {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		if err := tell(p.out, dirs[i], m); err != nil {
			return err
		}
		if err := tellPlace(p.out, dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

// tell prints a manifest in words.
func tell(out io.Writer, dir string, m *recorder.Manifest) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	say := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", what, plain(fmt.Sprintf(format, args...)))
	}
	say("call", "%s, part %d", m.Call.ID, m.Part)
	say("folder", "%s", dir)
	state := string(m.State)
	if m.Cause != "" {
		state += ": " + string(m.Cause)
	}
	if m.CauseText != "" {
		state += ", " + m.CauseText
	}
	if m.Ended == nil {
		state = "live, or waits to be finished"
	}
	say("state", "%s", state)
	say("began", "%s", m.Started.UTC().Format("2006-01-02 15:04:05.000 UTC"))
	channels := strings.Join(m.Channels, " left, ")
	if len(m.Channels) == 2 {
		channels += " right"
	}
	say("length", "%s, %s", seconds(float64(m.Samples)/float64(max(1, m.Rate))), orDash(channels))
	if m.Call.Agent != "" {
		say("agent", "%s (%s)", m.Call.Agent, m.Call.Mode)
	}
	if m.Audio != nil {
		say("audio", "%s, %s, %d octets, SHA-256 %s", cmp.Or(m.Audio.File, "encrypted"), m.Audio.Format, m.Audio.Bytes, orDash(m.Audio.SHA256))
	}
	if e := m.Encryption; e != nil {
		say("encrypted", "%s, %d segments, key %s, readable by %s", e.Scheme, len(e.Segments), e.Key, orDash(strings.Join(e.Recipients, ", ")))
	}
	if k := m.Retention; k != nil {
		until := "for ever"
		if k.Until != nil {
			until = "until " + k.Until.UTC().Format("2006-01-02 15:04 UTC")
		}
		say("kept", "%s, class %s", until, k.Class)
	}
	for _, x := range m.Missing {
		say("MISSING", "%s", missing(x))
	}
	for _, x := range m.Gaps {
		say("gap", "%s", missing(x))
	}
	for i := range m.Tracks {
		say(fmt.Sprintf("track %d", m.Tracks[i].ID), "%s", trackInWords(&m.Tracks[i]))
	}
	return w.Flush()
}

// tellPlace says where a recording's audio is, if not here, who holds the recording, and why.
func tellPlace(out io.Writer, folder string) error {
	dir, name := home(folder)
	cat, err := recorder.OpenCatalog(dir)
	if err != nil {
		return nil //nolint:nilerr // a folder that was copied from where it lay has no holds
	}
	defer cat.Close() //nolint:errcheck // it was only read
	if away := cat.Vault(name); away != "" {
		if _, err := fmt.Fprintln(out, "IN THE VAULT", plain(away)+"; earshot recordings fetch", plain(path.Base(name)), "--why TEXT brings the audio back"); err != nil {
			return err
		}
	}
	holds, err := cat.Holds(strings.TrimSuffix(name, ".partial"))
	if err != nil {
		_, err = fmt.Fprintln(out, "HELD", plain(err.Error()))
		return err
	}
	for _, h := range holds {
		matter := ""
		if h.Matter != "" {
			matter = " for " + h.Matter
		}
		if _, err := fmt.Fprintf(out, "HELD%s since %s by %s: %s\n", plain(matter), h.Since.UTC().Format(time.DateTime), plain(h.Who), plain(h.Why)); err != nil {
			return err
		}
	}
	return nil
}

func missing(x recorder.Missing) string {
	text := fmt.Sprintf("%s, %s", x.What, x.Cause)
	if x.Samples > 0 {
		text += fmt.Sprintf(", %s from %s on", seconds(float64(x.Samples)/8000), seconds(float64(x.Pos)/8000))
	}
	if x.Channel != nil {
		text += fmt.Sprintf(", channel %d", *x.Channel)
	}
	if x.Text != "" {
		text += ": " + x.Text
	}
	return text
}

// trackInWords says who is heard where, for how long, and how well it came.
func trackInWords(t *recorder.Track) string {
	where := [...]string{"not in the audio", "left or mono", "right"}[min(max(t.Channel, -1), 1)+1]
	text := fmt.Sprintf("%s %s, %s, %s, %s from %s on (by %s)", t.Role, t.PartyID, where, orDash(t.Codec), seconds(float64(t.Samples)/8000),
		seconds(float64(t.OffsetSamples)/8000), orDash(t.OffsetMethod))
	text += fmt.Sprintf("; lost %d, gaps %d, masked %d samples", t.Counts.LostSamples, t.Counts.GapSamples, t.Counts.MaskedSamples)
	if t.Quality != nil {
		text += fmt.Sprintf("; R %.0f, MOS %.1f", t.Quality.R, t.Quality.MOS)
	}
	if n := max(t.EpochCount, len(t.Epochs)); n > 1 {
		text += fmt.Sprintf("; %d sources", n)
	}
	if t.OffsetMethod != "" {
		text += fmt.Sprintf("; estimated %+.1f ms from where it lies, drift %+.1f ppm", float64(t.OffsetEstimate-t.OffsetSamples)/8, t.DriftPPM)
	}
	return text
}
