package sip

import (
	"bytes"
	"container/list"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is remembered of what was said. Calls that are up keep theirs; of the others the oldest goes first.
const (
	maxSteps      = 48      // messages of a call; of more, the first ones and the newest are kept
	keepSteps     = 16      // the first ones
	maxStepText   = 8 << 10 // octets of one message
	maxLadders    = 512     // calls that are over, or never were any
	maxLadderText = 32 << 20
	repeatsWithin = 8 // so many messages back a repeated one is looked for
)

// Step is one message of a call.
type Step struct {
	At time.Time `json:"at"`
	// Out: we sent it.
	Out  bool   `json:"out"`
	Peer string `json:"peer"` // ip:port
	Net  string `json:"net"`  // UDP, TCP, TLS
	// Text is the message as it was, without credentials and keys, and without a body other than SDP.
	Text string `json:"text"`
	// Again is how many more times the same message went or came, the newest at Last.
	Again int       `json:"again,omitempty"`
	Last  time.Time `json:"last,omitzero"`
}

// Start is the step's first line.
func (s Step) Start() string {
	line, _, _ := strings.Cut(s.Text, "\n")
	return line
}

// Ladder is what was said in one call, or with the registrar.
type Ladder struct {
	CallID string `json:"call_id"`
	// Live: the call is up.
	Live  bool   `json:"live,omitempty"`
	Steps []Step `json:"steps"`
	// Omitted is how many messages between the first ones and the newest are not kept.
	Omitted int `json:"omitted,omitempty"`
}

// String gives the ladder for people: a line for each message, then each as it was.
func (l Ladder) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP of %s: %d messages", clean(l.CallID, maxText), len(l.Steps)+l.Omitted)
	if l.Omitted > 0 {
		fmt.Fprintf(&b, ", %d of them after the first %d omitted", l.Omitted, keepSteps)
	}
	b.WriteString("; credentials and keys are cut out\n\n")
	for _, s := range l.Steps {
		fmt.Fprintf(&b, "%9.3f  %s  %s", s.At.Sub(l.Steps[0].At).Seconds(), s.arrow(), s.Start())
		if seq := s.header("cseq"); seq != "" {
			fmt.Fprintf(&b, "  (%s)", seq)
		}
		if strings.Contains(s.Text, "\nv=0\n") {
			b.WriteString("  SDP")
		}
		if s.Again > 0 {
			fmt.Fprintf(&b, "  %d times more, until %.3f", s.Again, s.Last.Sub(l.Steps[0].At).Seconds())
		}
		b.WriteByte('\n')
	}
	for _, s := range l.Steps {
		fmt.Fprintf(&b, "\n%s  %s %s %s\n", s.At.UTC().Format("2006-01-02T15:04:05.000000Z"), s.arrow(), s.Net, s.Peer)
		for line := range strings.Lines(s.Text) {
			b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
		}
	}
	return b.String()
}

func (s Step) arrow() string {
	if s.Out {
		return "->"
	}
	return "<-"
}

// header gives the value of a header, by its name in lower case.
func (s Step) header(name string) string {
	for line := range strings.Lines(s.Text) {
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		if n, v, ok := strings.Cut(line, ":"); ok && longName(strings.ToLower(strings.TrimSpace(n))) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// ladders remembers what was said, by Call-ID. Safe for concurrent use.
type ladders struct {
	mu    sync.Mutex
	byID  map[string]*rungs
	loose list.List // *rungs that are not pinned, the one that was quiet longest first
	text  int       // octets of all
}

// rungs is a ladder that is growing.
type rungs struct {
	Ladder
	pinned int
	at     *list.Element // in loose; nil: pinned
}

// note adds what was sent or came.
func (l *ladders) note(b []byte, s Step) {
	id := callIDIn(b)
	if id == "" {
		return
	}
	s.At = time.Now()
	s.Text = redacted(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.findLocked(id)
	if r.at != nil {
		l.loose.MoveToBack(r.at)
	}
	for i := len(r.Steps) - 1; i >= max(0, len(r.Steps)-repeatsWithin); i-- {
		if o := &r.Steps[i]; o.Out == s.Out && o.Text == s.Text {
			o.Again++
			o.Last = s.At
			return
		}
	}
	if len(r.Steps) >= maxSteps {
		l.text -= len(r.Steps[keepSteps].Text)
		r.Steps = slices.Delete(r.Steps, keepSteps, keepSteps+1)
		r.Omitted++
	}
	if l.text += len(s.Text); l.text > maxLadderText {
		l.shrinkLocked(r)
	}
	if l.text > maxLadderText { // calls that are up have it all
		l.text -= len(s.Text)
		s.Text = s.Start()
		l.text += len(s.Text)
	}
	r.Steps = append(r.Steps, s)
}

// findLocked gives the ladder of a Call-ID, a new one if need be.
func (l *ladders) findLocked(id string) *rungs {
	if r := l.byID[id]; r != nil {
		return r
	}
	if l.byID == nil {
		l.byID = make(map[string]*rungs)
	}
	r := &rungs{Ladder: Ladder{CallID: id}}
	l.byID[id] = r
	l.loosenLocked(r)
	return r
}

// loosenLocked makes a ladder one that may be forgotten.
func (l *ladders) loosenLocked(r *rungs) {
	r.at = l.loose.PushBack(r)
	if l.loose.Len() > maxLadders {
		l.forgetLocked(l.loose.Front().Value.(*rungs))
	}
}

// shrinkLocked forgets the oldest ladders but keep until the rest fits.
func (l *ladders) shrinkLocked(keep *rungs) {
	for e := l.loose.Front(); e != nil && l.text > maxLadderText; {
		r := e.Value.(*rungs)
		e = e.Next()
		if r != keep {
			l.forgetLocked(r)
		}
	}
}

func (l *ladders) forgetLocked(r *rungs) {
	l.loose.Remove(r.at)
	delete(l.byID, r.CallID)
	for _, s := range r.Steps {
		l.text -= len(s.Text)
	}
}

// pin keeps a call's ladder until unpin: the call is up.
func (l *ladders) pin(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.findLocked(clean(id, maxID))
	if r.pinned++; r.at != nil {
		l.loose.Remove(r.at)
		r.at = nil
	}
	r.Live = true
}

func (l *ladders) unpin(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.byID[clean(id, maxID)]
	if r == nil || r.pinned == 0 {
		return
	}
	if r.pinned--; r.pinned == 0 {
		r.Live = false
		l.loosenLocked(r)
	}
}

// get gives a copy.
func (l *ladders) get(id string) (Ladder, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.byID[id]
	if r == nil {
		return Ladder{}, false
	}
	out := r.Ladder
	out.Steps = slices.Clone(r.Steps)
	return out, true
}

// ids lists the Call-IDs that something is known of.
func (l *ladders) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, 0, len(l.byID))
	for id := range l.byID {
		out = append(out, id)
	}
	return out
}

// Ladder gives what was said in the call with that Call-ID: of calls that are up, and of the last ones that are not. It is what
// is kept: see Step.Text.
func (a *Account) Ladder(callID string) (Ladder, bool) { return a.ladders.get(callID) }

// Registration gives what was said with the registrar.
func (a *Account) Registration() Ladder {
	l, _ := a.ladders.get(a.regID)
	return l
}

// Ladders lists the calls that Ladder knows, without the texts of their messages but the first lines, the oldest first.
func (a *Account) Ladders() []Ladder {
	var out []Ladder
	for _, id := range a.ladders.ids() {
		l, ok := a.ladders.get(id)
		if !ok || id == a.regID || len(l.Steps) == 0 {
			continue
		}
		for i := range l.Steps {
			l.Steps[i].Text = l.Steps[i].Start()
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(x, y Ladder) int { return x.Steps[0].At.Compare(y.Steps[0].At) })
	return out
}

// callIDIn finds a message's Call-ID without parsing it, "" if it has none.
func callIDIn(b []byte) string {
	head, _, _ := bytes.Cut(b, endOfHead)
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, v, ok := bytes.Cut(line, []byte(":"))
		if name = bytes.TrimRight(name, " \t"); ok && (bytes.EqualFold(name, []byte("call-id")) || bytes.EqualFold(name, []byte("i"))) {
			if v = bytes.TrimSpace(v); len(v) <= maxID {
				return clean(string(v), maxID) // as Invitation.CallID
			}
			return ""
		}
	}
	return ""
}

// Name is the account's authorization id.
func (a *Account) Name() string { return a.cfg.AuthorizationID }
