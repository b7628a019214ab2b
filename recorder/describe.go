package recorder

import (
	"fmt"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// describe gives the manifest of the recording as it stands, as that of a call that goes on.
func (r *Recording) describe() *Manifest {
	w := &r.w
	m := &Manifest{
		Version: manifestVersion, Software: r.s.cfg.Software, Part: r.part, State: StatePartial,
		Call: ManifestCall{
			ID: w.info.ID, Sessions: w.info.Sessions, SIPCallIDs: w.info.SIPCallIDs, Agent: w.info.Agent, Mode: w.info.Mode,
			Direction: w.info.Direction, Queues: w.info.Queues, Masked: w.info.Masked, Expected: w.info.Expected, Earlier: w.info.Earlier,
		},
		Started: r.started, Anchor: &ClockPoint{Wall: r.at.Wall.UTC(), MonoNS: int64(r.at.Mono)},
		Encryption: r.encryption(),
		Rate:       rate, Samples: w.samples(), Channels: r.labels(), Late: r.late(),
	}
	if r.s.cfg.Fill == FillConceal {
		m.Fill = FillConceal
	}
	if r.previous != "" {
		m.Previous = &Previous{Folder: r.previous, Text: w.notes.why}
	}
	m.Consent = consentIn(w.info.Consent)
	m.Masks = masksIn(w.notes.masks, r.started, m.Samples)
	for _, t := range w.tracks {
		m.Tracks = append(m.Tracks, w.describe(t))
	}
	return m
}

func (r *Recording) labels() []string {
	seats := r.w.seats()
	for i, t := range r.w.tracks {
		seats[i].role = r.w.party(t).Role
	}
	return r.seating.labels(seats)
}

func (w *work) describe(t *track) Track {
	st, p := t.state, w.party(t)
	out := Track{
		ID: uint32(t.id), Leg: st.Leg, Line: st.Line, PartyID: p.ID, Role: p.Role, IdentifiedBy: p.IdentifiedBy,
		Name: p.Name, Number: p.Number, Extension: p.Extension, Channel: max(t.channel, channelNone), Codec: st.Law.String(),
		SRTP: st.SRTP, OffsetSamples: t.offset, OffsetMethod: t.method, OffsetEstimate: st.OffsetEstimate,
		DriftPPM: st.DriftPPM, Samples: t.loss.end, Ended: st.Ended, Counts: counts(st.Counts), Quality: quality(&t.state, t.offset), Overlaps: w.overlaps(t),
	}
	if !t.placed {
		out.OffsetEstimate = 0
	}
	out.Counts.DiskSamples = t.loss.total[kindDisk]
	for _, e := range st.Epochs {
		epoch := Epoch{Pos: e.Pos, SSRC: e.SSRC, Timestamp: e.Timestamp, Why: e.Why}
		if e.Estimated && t.placed {
			epoch.OffsetEstimate, epoch.DriftPPM = &e.OffsetEstimate, &e.DriftPPM
		}
		out.Epochs = append(out.Epochs, epoch)
	}
	if st.EpochCount > len(st.Epochs) {
		out.EpochCount = st.EpochCount
	}
	out.OctetsFile = t.octets.describe(t.native)
	for _, s := range t.loss.spans {
		out.Spans = append(out.Spans, Span{Kind: s.kind.String(), Pos: s.pos, Samples: s.n})
	}
	if t.spill.Bytes > 0 {
		file := t.spill.SpansFile
		out.SpansFile = &file
	}
	if t.loss.until >= 0 {
		until := t.loss.until
		out.SpansUntil = &until
	}
	if out.SpansFile != nil || out.SpansUntil != nil {
		out.SpanTotals = map[string]int64{}
		for k := kindReceived; k < kinds; k++ {
			if n := t.loss.total[k]; n > 0 {
				out.SpanTotals[k.String()] = n
			}
		}
	}
	return out
}

// overlaps names where newer tracks are heard in t's place.
func (w *work) overlaps(t *track) (out []Overlap) {
	if !t.placed || t.channel < 0 {
		return nil
	}
	for _, o := range w.tracks[t.id:] {
		if !o.placed || o.channel != t.channel {
			continue
		}
		from, to := max(t.offset, o.offset), min(t.end(), o.end())
		if from < to {
			out = append(out, Overlap{By: uint32(o.id), Pos: from - t.offset, Samples: to - from})
		}
	}
	return out
}

func counts(c media.Counts) Counts {
	return Counts{
		Packets: c.Packets, Octets: c.Octets, ReceivedSamples: c.ReceivedSamples, LateSamples: c.LateSamples,
		LostSamples: c.LostSamples, GapSamples: c.GapSamples, MaskedSamples: c.MaskedSamples,
		DuplicatePackets: c.DuplicatePackets, ReorderedPackets: c.ReorderedPackets, LostPackets: c.LostPackets,
		LatePackets: c.LatePackets, TooLatePackets: c.TooLatePackets, AuthFailedPackets: c.AuthFailedPackets,
		StrayPackets: c.StrayPackets, MalformedPackets: c.MalformedPackets, UnknownPTPackets: c.UnknownPTPackets,
		EventPackets: c.EventPackets, ComfortPackets: c.ComfortPackets, SSRCChanges: c.SSRCChanges,
		JitterSamples: c.JitterSamples, SentPackets: c.SentPackets,
		RTCPPackets: c.RTCPPackets, RTCPRefused: c.RTCPRefusedPackets, RTCPSent: c.RTCPSentPackets,
	}
}

// conclude says of a finished manifest what state the recording is in, and why.
func (r *Recording) conclude(m *Manifest, cause call.Cause, ended time.Time) {
	m.Ended = &ended
	if cause != (call.Cause{}) {
		m.EndCause = &cause
	}
	if m.Samples == 0 {
		m.State, m.Cause, m.CauseText = StateNoMedia, cause.Code, cause.Text
		if m.Cause == "" {
			m.Cause = call.CodeNoMedia
		}
		return
	}
	var gaps []Missing
	m.Gaps, gaps = r.gaps(m.Channels)
	m.Missing = append(r.missing(m.Channels), gaps...)
	if len(m.Missing) == 0 {
		m.State, m.Cause, m.CauseText = StateRecorded, cause.Code, cause.Text
		return
	}
	worst := m.Missing[0]
	m.State, m.Cause, m.CauseText = StatePartial, worst.Cause, worst.text(m.Channels)
}

// missing lists what the recording lacks, the worst first.
func (r *Recording) missing(labels []string) (out []Missing) {
	w := &r.w
	for _, p := range w.unmasked {
		out = append(out, Missing{What: "mask", Track: uint32(p.t.id), Samples: p.n, Cause: call.CodeDisk})
	}
	for _, t := range w.tracks {
		if t.unmasked > 0 {
			out = append(out, Missing{What: "mask", Track: uint32(t.id), Samples: t.unmasked, Cause: call.CodeInternal})
		}
		if n := t.loss.total[kindDisk]; n > 0 {
			out = append(out, Missing{What: "samples", Track: uint32(t.id), Samples: n, Cause: call.CodeDisk})
		}
	}
	for _, t := range w.tracks {
		if n := t.loss.total[kindUnknown]; n > 0 {
			out = append(out, Missing{What: "samples", Track: uint32(t.id), Samples: n, Cause: call.CodeInternal})
		}
		if t.placed && t.channel < 0 && t.loss.end > 0 {
			out = append(out, Missing{What: "track", Track: uint32(t.id), Samples: t.loss.end, Cause: call.CodeProtocol})
		}
	}
	for _, t := range w.tracks {
		if k := t.octets; k != nil && k.lost > 0 {
			out = append(out, Missing{What: "octets", Track: uint32(t.id), Samples: k.lost, Cause: call.CodeDisk})
		}
	}
	for _, t := range w.tracks {
		if n := w.hidden(t); n > 0 {
			out = append(out, Missing{What: "overlap", Track: uint32(t.id), Samples: n, Cause: call.CodeProtocol})
		}
	}
	for ch := range labels {
		if !w.spoken(ch) {
			c := w.absent(ch, labels[ch])
			out = append(out, Missing{What: "stream", Channel: &ch, Cause: c.Code, Text: c.Text})
		}
	}
	return out
}

// hidden counts samples of t that are not heard because a track of somebody else has the channel: another line of the same
// dialog, or another party. A party that comes back on another dialog says the same on both, so nothing is missing then.
func (w *work) hidden(t *track) (n int64) {
	for _, o := range w.overlaps(t) {
		by := w.tracks[o.By-1]
		same := by.state.Leg == t.state.Leg && by.state.Line != t.state.Line
		if same || by.state.Party.ID != t.state.Party.ID {
			n += o.Samples
		}
	}
	return n
}

// spoken tells whether anything at all came for a channel.
func (w *work) spoken(ch int) bool {
	for _, t := range w.tracks {
		if t.placed && t.channel == ch && t.loss.end > 0 {
			return true
		}
	}
	return false
}

// text says it for people.
func (x Missing) text(labels []string) string {
	switch x.What {
	case "mask":
		return fmt.Sprintf("track %d: %d samples that a mask should cover could not be overwritten", x.Track, x.Samples)
	case "samples":
		if x.Cause == call.CodeDisk {
			return fmt.Sprintf("track %d: %d samples could not be written", x.Track, x.Samples)
		}
		return fmt.Sprintf("track %d: %d samples never reached the recorder", x.Track, x.Samples)
	case "octets":
		return fmt.Sprintf("track %d: %d octets of the other law could not be written to a file of their own; audio.wav has them transcoded", x.Track, x.Samples)
	case "track":
		return fmt.Sprintf("track %d: no channel was free for it", x.Track)
	case "overlap":
		return fmt.Sprintf("track %d: %d samples are not in the audio, as another track was on its channel", x.Track, x.Samples)
	case "stream":
		return fmt.Sprintf("channel %d (%s): not one sample came: %s", *x.Channel, labels[*x.Channel], x.Text)
	case "gap":
		if x.Channel == nil {
			return fmt.Sprintf("%.1f s %s", float64(x.Samples)/rate, x.Text)
		}
		return fmt.Sprintf("channel %d (%s): %.1f s from %.1f s on: %s", *x.Channel, labels[*x.Channel],
			float64(x.Samples)/rate, float64(x.Pos)/rate, x.Text)
	}
	return "earshot ended without sealing; finished at the next start"
}
