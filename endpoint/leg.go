package endpoint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/sip/offer"
)

// leg is one dialog as a part of a call: it opens a track per accepted m= line. sip calls it serially.
type leg struct {
	// Set when made, then constant.
	id     string // SIP Call-ID
	call   *Call
	ear    *ear
	toward netip.Addr     // where the far side is, when the offer does not say it
	caller map[string]any // facts of its INVITE
	party  func(offer.Stream) call.Party
	joins  []joinKey
	agent  string        // extension number
	wanted time.Time     // since when it is waited for; zero: nobody did
	hurdle string        // what kept it from coming at once
	born   time.Duration // on the engine's clock

	// Call.mu guards the fields below.
	part    *part
	parties []call.Party // of its lines

	// mu guards the fields below.
	mu     sync.Mutex
	tracks map[int]*media.Track // by m= line
	held   map[int]bool
	oneWay map[int]bool // lines whose first offer was sendonly (RingCentral's mediaSDP)
	dialog *sip.Dialog
}

// joinKey names a join of supervise that this leg answers.
type joinKey struct{ session, party string }

// trackLine names a track by its place in a dialog.
type trackLine struct {
	leg  string
	line int
}

// Prepare opens or updates a track per stream; see sip.Leg.
func (l *leg) Prepare(streams []offer.Stream) ([]offer.Local, func(), func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var (
		locals         []offer.Local
		commits, undos []func()
		seen           = map[int]bool{}
		opened         []int
		wider          = l.widens(streams)
		undoLocked     = func() {
			for _, f := range undos {
				f()
			}
			l.dropLocked(opened)
		}
	)
	remotes := resolve(streams, net.DefaultResolver.LookupNetIP)
	for i, s := range streams {
		seen[s.Line] = true
		t, remote := l.tracks[s.Line], remotes[i]
		if t == nil {
			var err error
			if t, err = l.open(s, remote, wider); err != nil {
				undoLocked()
				return nil, nil, nil, err
			}
			l.tracks[s.Line] = t
			opened = append(opened, s.Line)
		}
		commit, back, err := t.Prepare(params(s, remote))
		if err != nil {
			undoLocked()
			return nil, nil, nil, fmt.Errorf("m= line %d: %w", s.Line, err)
		}
		commits, undos = append(commits, commit), append(undos, back)
		rtp, rtcp := t.Local()
		locals = append(locals, offer.Local{RTP: rtp, RTCP: rtcp})
	}
	for line, t := range l.tracks {
		if !seen[line] { // a later offer took the line away: the track stays, nothing comes
			if commit, back, err := t.Prepare(media.Params{Inactive: true}); err == nil {
				commits, undos = append(commits, commit), append(undos, back)
			}
		}
	}
	commit := func() {
		if wider {
			l.widen(streams)
		}
		for _, f := range commits {
			f()
		}
		l.noteHold(streams)
		l.call.heed()
	}
	undo := func() { // of an answer that did not go out: status and parts look at the tracks meanwhile
		l.mu.Lock()
		defer l.mu.Unlock()
		undoLocked()
	}
	return locals, commit, undo, nil
}

// dropLocked ends tracks that were opened for an exchange that came to nothing: no one shall see them again.
func (l *leg) dropLocked(lines []int) {
	for _, line := range lines {
		t := l.tracks[line]
		t.End()
		delete(l.tracks, line)
		l.call.mu.Lock()
		l.call.tracks = slices.DeleteFunc(l.call.tracks, func(o *media.Track) bool { return o == t })
		l.call.mu.Unlock()
	}
}

// open opens a line's track; what a later offer adds to a part with one channel belongs to none until it is agreed.
func (l *leg) open(s offer.Stream, remote netip.AddrPort, wider bool) (*media.Track, error) {
	part := l.current().n
	if wider {
		part = 0
	}
	toward := s.Remote.Addr()
	if !toward.IsValid() || toward.IsUnspecified() {
		toward = l.toward
	}
	t, err := l.call.timeline.Open(media.Plan{
		Leg: l.id, Line: s.Line, Party: l.party(s), Part: part, IPv6: s.IPv6, Mux: s.Mux, Toward: toward,
		Remote: remote, Secure: s.RecvKey != nil,
	})
	switch {
	case err == nil:
	case errors.Is(err, media.ErrNoPort):
		return nil, &sip.Refusal{Code: 486, Reason: "Busy Here", Cause: call.Cause{
			Code: call.CodeNoCapacity, Text: "media.ports: " + err.Error() + "; widen the range, or end what else has them",
		}}
	case s.IPv6:
		return nil, fmt.Errorf("%w: %w", sip.ErrNotAcceptable, err)
	default:
		return nil, err
	}
	l.call.mu.Lock()
	l.call.tracks = append(l.call.tracks, t)
	l.call.mu.Unlock()
	return t, nil
}

// noteHold turns changes of the far side's direction into events.
func (l *leg) noteHold(streams []offer.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range streams {
		t := l.tracks[s.Line]
		if _, again := l.oneWay[s.Line]; t != nil && !again {
			l.oneWay[s.Line] = s.Theirs == offer.SendOnly // a line that was one-way from the start is no hold
		}
		hold := s.Hold && !(s.Theirs == offer.SendOnly && l.oneWay[s.Line])
		if t == nil || l.held[s.Line] == hold {
			continue
		}
		was := l.held[s.Line]
		l.held[s.Line] = hold
		ev := call.Event{Type: call.EventHold, Leg: l.id, Track: uint32(t.ID()), Pos: t.State().Length}
		if was {
			ev.Type = call.EventResume
		}
		l.call.post(ev)
	}
}

// Established notes that the far side has acknowledged our answer.
func (l *leg) Established(d *sip.Dialog) {
	l.mu.Lock()
	l.dialog = d
	l.mu.Unlock()
	facts := maps.Clone(l.caller)
	if !l.wanted.IsZero() {
		facts["waited_ms"] = time.Since(l.wanted).Milliseconds()
	}
	if l.hurdle != "" {
		facts["delayed_by"] = l.hurdle
	}
	l.call.post(call.Event{Type: call.EventLegAnswered, Leg: l.id, Facts: facts})
	if sup := l.ear.supervisor(); sup != nil {
		for _, k := range l.joins {
			sup.Answered(k.session, k.party)
		}
	}
	l.call.wake()
}

// Digit hands a digit that came by INFO on as an event.
func (l *leg) Digit(digit string, d time.Duration) {
	l.call.post(call.Event{Type: call.EventDTMF, Leg: l.id, Facts: map[string]any{
		"digit": digit, "duration_samples": d.Milliseconds() * media.SampleRate / 1000, "by": "info",
	}})
}

// Silence is how long nothing came; see sip.Leg.
func (l *leg) Silence() time.Duration {
	now := l.call.e.engine.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := l.born // a track's state is not told before its first sweep
	for _, t := range l.tracks {
		st := t.State()
		newest = max(newest, st.OpenedAt, st.Heard)
	}
	return now - newest
}

// Ended ends the leg's tracks and takes it out of the call.
func (l *leg) Ended(c call.Cause) {
	if l.call.mode != "" {
		c = overtaken(c, l.call.shown())
	}
	l.mu.Lock()
	for _, t := range l.tracks {
		t.End()
	}
	l.dialog = nil
	l.mu.Unlock()
	if wentWrong(c.Code) {
		l.call.addLadder(l.current(), l.ear, l.id)
	}
	l.call.post(call.Event{Type: call.EventLegEnded, Leg: l.id, Facts: map[string]any{"cause": string(c.Code), "text": c.Text}})
	if sup := l.ear.supervisor(); sup != nil {
		for _, k := range l.joins {
			sup.Ended(k.session, k.party, c)
		}
	}
	l.call.remove(l, c)
}

// bye ends the dialog, if it is up.
func (l *leg) bye(ctx context.Context, c call.Cause) error {
	l.mu.Lock()
	d := l.dialog
	l.mu.Unlock()
	if d == nil {
		return nil
	}
	return d.Bye(ctx, c)
}

// heldLines tells which lines the far side holds.
func (c *Call) heldLines() map[trackLine]bool {
	c.mu.Lock()
	legs := append([]*leg(nil), c.legs...)
	c.mu.Unlock()
	out := map[trackLine]bool{}
	for _, l := range legs {
		l.mu.Lock()
		for line, h := range l.held {
			if h {
				out[trackLine{l.id, line}] = true
			}
		}
		l.mu.Unlock()
	}
	return out
}

// params turns what was agreed in SDP into what a track needs.
func params(s offer.Stream, remote netip.AddrPort) media.Params {
	p := media.Params{
		Remote: remote, RemoteRTCP: s.RemoteRTCP, Mux: s.Mux, SilencePT: s.Silence,
		RecvKey: key(s.RecvKey), SendKey: key(s.SendKey),
		Receive: s.Theirs == offer.SendRecv || s.Theirs == offer.SendOnly, Inactive: s.Theirs == offer.Inactive,
	}
	for _, pl := range s.Payloads {
		p.Payloads = append(p.Payloads, media.Payload{Number: pl.Number, Codec: codecs[pl.Codec]})
	}
	return p
}

var codecs = map[offer.Codec]media.Codec{
	offer.PCMU: media.CodecPCMU, offer.PCMA: media.CodecPCMA, offer.TelephoneEvent: media.CodecEvent, offer.ComfortNoise: media.CodecNoise,
}

func key(k *offer.Key) *media.Key {
	if k == nil {
		return nil
	}
	return &media.Key{Suite: media.Suite(k.Suite), Master: []byte(k.Master.Reveal()), Salt: []byte(k.Salt.Reveal()), MKI: k.MKI}
}
