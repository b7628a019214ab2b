package offer

import (
	"fmt"
	"slices"
	"strconv"
)

// eventNumber is our payload type for telephone-event: everybody's habit.
const eventNumber = 101

// NewOffer makes our offer for an INVITE without SDP (RFC 3261 section 13.3.1): Streams are without Remote, and the answer
// comes with the ACK. Lines are RTP/SAVP with a key each if the policy wants that. Else they are RTP/AVP; where sec is true
// (the signalling is encrypted) with a key all the same, so that a far side that can do SRTP takes it and one that can't
// still answers: we don't know yet who it is, and a call refused is a call lost.
func NewOffer(p Policy, sec bool) (*Exchange, error) {
	x := newExchange(p, nil)
	x.offering = true
	n := max(p.OfferLines, 1)
	if n > MaxLines {
		return nil, fmt.Errorf("offer: %d lines, at most %d", n, MaxLines)
	}
	for i := range n {
		x.lines = append(x.lines, newLine(i, p, sec))
	}
	return x, nil
}

func newLine(index int, p Policy, sec bool) line {
	s := Stream{Line: index}
	l := line{accepted: true, m: mline{kind: "audio", proto: protoAVP}}
	for _, c := range p.laws() {
		s.Payloads = append(s.Payloads, Payload{staticNumber(c), c})
	}
	s.Silence = s.Payloads[0].Number
	s.Payloads = append(s.Payloads, Payload{eventNumber, TelephoneEvent})
	only := p.OfferSRTP || p.RequireSRTP
	if sec || only {
		suite, _ := suiteOf(defaultSuite)
		s.SendKey = newKey(suite)
		l.tag, l.spell = "1", defaultSuite
	}
	if only {
		l.m.proto = protoSAVP
	}
	for _, p := range s.Payloads {
		l.m.formats = append(l.m.formats, strconv.Itoa(int(p.Number)))
	}
	l.stream = s
	return l
}

func staticNumber(c Codec) uint8 {
	if c == PCMA {
		return staticPCMA
	}
	return staticPCMU
}

// Reoffer is our offer in this dialog for a re-INVITE without SDP: the last one again, closed lines closed, and no hold of
// theirs made our wish (RFC 6337 section 5.3). Streams keep the Remote and keys in force until the answer changes them;
// addresses are those of before unless SetLocal gives others.
func (x *Exchange) Reoffer() (*Exchange, error) {
	if x.body == nil {
		return nil, fmt.Errorf("reoffer: %w", errNoBody)
	}
	y := newExchange(Policy{}, x)
	y.offering = true
	y.lines = slices.Clone(x.lines)
	for i := range y.lines {
		y.lines[i].stream.Ours = SendRecv
	}
	return y, y.complete()
}

// Answered reads the answer to our offer. The result is the same exchange completed: streams with Remote, keys and the
// formats left; lines that the answer refused are gone. The SDP of ours does not change.
func (x *Exchange) Answered(body []byte) (*Exchange, error) {
	if !x.offering {
		return nil, fmt.Errorf("answered: the offer was theirs")
	}
	o, err := Parse(body)
	if err != nil {
		return nil, err
	}
	y := *x
	y.lines = slices.Clone(x.lines)
	reason := fmt.Errorf("no m= line in the answer")
	accepted := 0
	for i := range y.lines {
		l := &y.lines[i]
		if !l.accepted {
			continue
		}
		if i >= len(o.lines) {
			*l = line{m: l.m}
			continue
		}
		if err := l.answered(&o.lines[i]); err != nil {
			reason = fmt.Errorf("m= line %d: %w", i, err)
			*l = line{m: l.m}
			continue
		}
		accepted++
	}
	if accepted == 0 {
		return nil, fmt.Errorf("%w: %w", ErrNothingUsable, reason)
	}
	return &y, nil
}

// answered completes a line of our offer by its answer.
func (l *line) answered(r *remoteLine) error {
	if err := r.usable(); err != nil {
		return err
	}
	s := l.stream
	theirs, _ := r.agreed(Policy{})
	both, silence, ok := common(l.stream.Payloads, theirs)
	if !ok {
		return fmt.Errorf("no G.711 among the formats")
	}
	s.Payloads, s.Silence = both, silence
	s.RecvKey = nil
	if s.SendKey != nil && len(r.crypto) == 0 && plainProto(r.proto) && !l.secureOnly() {
		s.SendKey, l.tag, l.spell = nil, "", "" // it can't do SRTP, and said so
	}
	if s.SendKey != nil {
		key, err := r.keyFor(l.tag, s.SendKey.Suite)
		if err != nil {
			return err
		}
		s.RecvKey = key
	}
	s.Title, s.Label, s.IPv6 = r.title, r.label, r.ipv6
	s.Session, s.Party = parseTitle(r.title)
	s.Mux = s.Mux && r.mux
	s.RemoteHost = ""
	s.place(r)
	l.stream = s
	return nil
}

// secureOnly tells that our offer left no choice but SRTP.
func (l *line) secureOnly() bool { return secureProto(l.m.proto) }

// keyFor finds the answer's a=crypto: our tag, our suite (RFC 4568 section 5.1.3).
func (r *remoteLine) keyFor(tag, suite string) (*Key, error) {
	reason := fmt.Errorf("no a=crypto with tag %s", tag)
	for _, value := range r.crypto {
		c, err := parseCrypto(value)
		switch {
		case err != nil:
			reason = err
		case c.tag == tag && c.key.Suite == suite:
			return &c.key, nil
		}
	}
	return nil, reason
}

// common is what is left of our formats after the answer, in its order. What comes carries the numbers of our offer, what
// we send those of the answer (RFC 3264 section 6.1); where the answer renumbers a codec, its number is taken too.
func common(ours, theirs []Payload) (both []Payload, silence uint8, ok bool) {
	theirs = slices.DeleteFunc(theirs, func(t Payload) bool {
		return !slices.ContainsFunc(ours, func(o Payload) bool { return o.Codec == t.Codec })
	})
	silence, ok = firstAudio(theirs)
	for _, t := range theirs {
		for _, o := range ours {
			if o.Codec == t.Codec && !slices.Contains(both, o) {
				both = append(both, o)
			}
		}
	}
	for _, t := range theirs {
		if !slices.ContainsFunc(both, func(p Payload) bool { return p.Number == t.Number }) {
			both = append(both, t)
		}
	}
	return both, silence, ok
}
