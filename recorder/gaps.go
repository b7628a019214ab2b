package recorder

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// leastGap is what two streams of one call may begin and end apart, and how long a join may take once its party talks,
	// without being called a gap.
	leastGap = rate
	// awaySlack is how long after its dialogs an agent may be known to have left.
	awaySlack = 3 * rate
	// maxNotes bounds what is kept of events that say why audio is missing.
	maxNotes = 1000
)

// notes is what the call's events tell of audio that did not come. Places are indices in audio.wav.
type notes struct {
	ends   map[string]legEnd // by dialog
	away   []away
	fails  []failure
	why    string // this is not the call's first part: why it began
	before *gap   // what lies between the part before and this one
	follow int64  // where the call's next part began; 0: there is none
	masks  []call.Mask
}

// legEnd is where and why a dialog ended.
type legEnd struct {
	at    int64
	cause call.Cause
}

// away is a stretch in which no monitored agent was in the call; to is 0 while it lasts.
type away struct {
	from, to int64
	reason   string
}

// failure is a stream that did not come. An unknown role is the whole call's.
type failure struct {
	at    int64
	role  string
	cause call.Cause
}

// note takes what an event says of missing audio.
func (r *Recording) note(e call.Event) {
	n := &r.w.notes
	at := max(1, int64(e.Time.Sub(r.started))*rate/int64(time.Second))
	word := func(key string) string { s, _ := e.Facts[key].(string); return s }
	switch e.Type {
	case call.EventLegEnded:
		if n.ends == nil {
			n.ends = map[string]legEnd{}
		}
		if len(n.ends) < maxNotes {
			n.ends[e.Leg] = legEnd{at, call.Cause{Code: call.Code(word("cause")), Text: word("text")}}
		}
	case call.EventAgentLeft:
		if len(n.away) < maxNotes && (len(n.away) == 0 || n.away[len(n.away)-1].to != 0) {
			n.away = append(n.away, away{from: at, reason: word("reason")})
		}
	case call.EventAgentTalks, call.EventAgentHolds:
		if last := len(n.away) - 1; last >= 0 && n.away[last].to == 0 {
			n.away[last].to = at
		}
	case call.EventJoinFailed:
		if len(n.fails) < maxNotes {
			n.fails = append(n.fails, failure{at, word("role"), call.Cause{Code: call.Code(word("cause")), Text: word("text")}})
		}
	case call.EventMaskOn, call.EventMaskOff:
		n.mask(e)
	case call.EventPartStarted:
		part, _ := e.Facts["part"].(int)
		switch {
		case part > r.part && n.follow == 0:
			n.follow = at
		case part == r.part:
			n.begin(e)
		}
	default:
	}
}

// begin takes what an event says of the part's own beginning.
func (n *notes) begin(e call.Event) {
	n.why, _ = e.Facts["text"].(string)
	samples, _ := e.Facts["gap_samples"].(int64)
	if samples <= 0 {
		return
	}
	code, _ := e.Facts["cause"].(string)
	text, _ := e.Facts["gap_text"].(string)
	n.before = &gap{Missing{What: "gap", Samples: samples, Cause: call.Code(code), Text: "before this part: no dialog was up"}, true}
	if text != "" {
		n.before.Text = "before this part: " + text
	}
	n.before.lacking = n.before.Cause != call.CodeAgentLeft
}

// stretch is a part of a channel without a track.
type stretch struct {
	ch       int
	from, to int64
	before   *track // that ended at from; nil at the beginning
	after    *track // that begins at to; nil at the end
}

// stretches finds what no track covers, channel by channel.
func (w *work) stretches(channels int) (out []stretch) {
	for ch := range channels {
		var on []*track
		for _, t := range w.tracks {
			if t.placed && t.channel == ch && t.loss.end > 0 {
				on = append(on, t)
			}
		}
		if len(on) == 0 {
			continue // the whole channel is missing, and is named so
		}
		slices.SortStableFunc(on, func(a, b *track) int { return cmp.Compare(a.offset, b.offset) })
		s := stretch{ch: ch}
		for _, t := range on {
			if t.offset > s.from {
				s.to, s.after = t.offset, t
				out = append(out, s)
			}
			if t.end() > s.from {
				s.from, s.before = t.end(), t
			}
			s.after = nil
		}
		if s.to = w.samples(); s.to > s.from {
			out = append(out, s)
		}
	}
	return out
}

// gaps sorts the stretches without a track: those in which there was nothing to hear, and those that are missing.
func (r *Recording) gaps(labels []string) (quiet, lacking []Missing) {
	w := &r.w
	if b := w.notes.before; b != nil && b.lacking {
		lacking = append(lacking, b.Missing)
	} else if b != nil {
		quiet = append(quiet, b.Missing)
	}
	for _, s := range w.stretches(len(labels)) {
		edge := s.before == nil || s.after == nil
		if edge && s.to-s.from < leastGap {
			continue
		}
		for _, g := range w.explain(s, labels[s.ch]) {
			if g.lacking {
				lacking = append(lacking, g.Missing)
			} else {
				quiet = append(quiet, g.Missing)
			}
		}
	}
	return quiet, lacking
}

type gap struct {
	Missing
	lacking bool
}

// explain cuts a stretch by its causes.
func (w *work) explain(s stretch, role string) (out []gap) {
	add := func(to int64, lacking bool, code call.Code, format string, args ...any) {
		if to = min(to, s.to); to <= s.from {
			return
		}
		out = append(out, gap{Missing{
			What: "gap", Channel: &s.ch, Pos: s.from, Samples: to - s.from, Cause: code, Text: fmt.Sprintf(format, args...),
		}, lacking})
		s.from = to
	}
	end, down := legEnd{}, false
	if s.before != nil {
		if end, down = w.notes.ends[s.before.state.Leg]; end.at > s.from+leastGap || !down {
			to := s.to
			if down {
				to = end.at
			}
			add(to, false, call.CodeNoMedia, "the dialog was up, and no packet came")
		}
	}
	slack := int64(0)
	if end.cause.Code == call.CodeHangup { // RingCentral ended the dialog because the agent left, and told of it later
		slack = awaySlack
	}
	blame := func(to int64) {
		cause, what, lacking := w.blame(s, to, role, end.cause)
		add(to, lacking, cause.Code, "%s", what)
	}
	for _, a := range w.notes.away {
		if a.from >= s.to || a.to != 0 && a.to+leastGap <= s.from { // a join may take a moment once an agent is back
			continue
		}
		if a.from > s.from+slack {
			blame(a.from)
		}
		to := a.to
		if to == 0 || to+leastGap >= s.to {
			to = s.to
		}
		why := ""
		if a.reason != "" {
			why = " (" + a.reason + ")"
		}
		add(to, false, call.CodeAgentLeft, "no monitored agent was in the call%s", why)
	}
	if follow := w.notes.follow; follow != 0 && s.after == nil && s.from >= follow-leastGap {
		add(s.to, false, call.CodeReplan, "the call is heard in its next part")
	}
	if s.from < s.to {
		blame(s.to)
	}
	return out
}

// blame says of a stretch up to a place why no stream was there, and whether something is missing.
func (w *work) blame(s stretch, to int64, role string, ended call.Cause) (cause call.Cause, what string, lacking bool) {
	cause = w.cause(s.from, to, role, ended)
	same := s.before != nil && s.after != nil && s.before.state.Party.ID == s.after.state.Party.ID
	switch {
	case same:
		what = "the dialog ended, and came again"
	case s.before != nil && s.after != nil:
		what = "the next party's stream had not begun"
	case s.before != nil:
		what = "the dialog ended, and did not come again"
	default:
		what = "its stream had not begun"
	}
	if cause.Text != "" {
		what += ": " + cause.Text
	}
	return cause, what, same || to-s.from >= leastGap
}

// cause finds why a stream was not there: the newest failure that was told of it until it came; else why its dialog ended;
// else RingCentral let it wait.
func (w *work) cause(from, to int64, role string, ended call.Cause) call.Cause {
	cause := ended
	for _, f := range w.notes.fails {
		if (f.role == role || f.role == call.RoleUnknown.String()) && f.at >= from-leastGap && f.at <= to+leastGap {
			cause = f.cause
		}
	}
	if cause.Code == "" {
		cause = call.Cause{Code: call.CodeNoInvite, Text: "no dialog was up for it"}
	}
	return cause
}

// absent says why not one sample came for a channel.
func (w *work) absent(ch int, role string) call.Cause {
	answered := false
	for _, t := range w.tracks {
		party := t.state.Party.Role.String()
		answered = answered || party == role || t.channel == ch
	}
	if answered {
		return call.Cause{Code: call.CodeNoMedia, Text: "its dialog was up, and no packet came"}
	}
	return w.cause(0, max(leastGap, w.samples()), role, call.Cause{})
}
