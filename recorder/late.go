package recorder

import (
	"time"

	"github.com/earshot/earshot/call"
)

// Late is the time before sample 0 in which an agent was on the line and nobody of ours listened: the call was found or joined
// late, or the process that heard it before had ended. What was said then never reached us, so it does not change the state.
type Late struct {
	Since   time.Time `json:"since"` // UTC
	Samples int64     `json:"samples"`
	Cause   call.Code `json:"cause"`
	Text    string    `json:"text,omitempty"`
}

// late says how long before sample 0 the call was not heard, if it is worth a word.
func (r *Recording) late() *Late {
	var l *Late
	info := &r.w.info
	switch {
	case r.w.notes.why != "": // a part of this process: what lies between two of them stands in missing or gaps
		return nil
	case r.resumed != nil:
		l = r.resumed
	case r.part == 1 && !info.Talks.IsZero():
		l = &Late{Since: info.Talks.UTC(), Cause: call.CodeLate, Text: info.Obstacle}
	default:
		return nil
	}
	if l.Samples = int64(r.started.Sub(l.Since)) * rate / int64(time.Second); l.Samples < leastGap {
		return nil
	}
	return l
}

// resume notes that a call goes on whose part before has ended. In one process its next part follows at once.
func (r *Recording) resume(m *Manifest) {
	if r.resumed = nil; m.Ended != nil && m.EndCause != nil {
		r.resumed = &Late{Since: m.Ended.UTC(), Cause: m.EndCause.Code, Text: "the part before had ended"}
		if m.EndCause.Text != "" {
			r.resumed.Text += ": " + m.EndCause.Text
		}
	}
}
