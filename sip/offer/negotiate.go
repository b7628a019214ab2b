package offer

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNothingUsable is an offer (488) or an answer (BYE) of which we can take no line.
var ErrNothingUsable = errors.New("no usable m= line")

// Negotiate answers the offer. prev is the dialog's last exchange that went out with a 2xx, nil for the first. A re-offer
// whose author closed every line himself is answered, without streams.
func (o *Offer) Negotiate(p Policy, prev *Exchange) (*Exchange, error) {
	x := newExchange(p, prev)
	x.lines = make([]line, len(o.lines))
	reason, open, accepted := "no m= line", false, 0
	for i := range o.lines {
		r := &o.lines[i]
		l := refused(r)
		open = open || r.port != 0
		if err := l.accept(i, r, p, prev.at(i)); err != nil {
			reason = fmt.Sprintf("m= line %d: %v", i, err)
		} else if accepted == p.maxLines() {
			l = refused(r)
		} else {
			accepted++
		}
		x.lines[i] = l
	}
	x.dropAlternatives()
	if accepted == 0 && (open || prev == nil) {
		return nil, fmt.Errorf("%w: %s", ErrNothingUsable, reason)
	}
	return x, nil
}

// refused is the answer to a line that is not taken: port 0, the offer's formats (RFC 3264 section 6).
func refused(r *remoteLine) line {
	m := r.mline
	m.port = 0
	return line{m: m}
}

// accept takes the line, or says why not and leaves it refused.
func (l *line) accept(index int, r *remoteLine, p Policy, prev *line) error {
	if err := r.usable(); err != nil {
		return err
	}
	payloads, events := r.agreed(p)
	silence, ok := firstAudio(payloads)
	if !ok {
		return errors.New("no G.711 among the formats")
	}
	key, err := r.chooseKey(p)
	if err != nil {
		return err
	}
	s := Stream{
		Line: index, Title: r.title, Label: r.label, Mux: r.mux, IPv6: r.ipv6,
		Theirs: r.direction, Payloads: payloads, Silence: silence,
	}
	s.Session, s.Party = parseTitle(r.title)
	s.place(r)
	if key != nil {
		s.RecvKey, s.SendKey = &key.key, ownKey(key, prev)
		l.tag, l.spell = key.tag, key.spell
	}
	l.accepted, l.stream, l.events, l.mid = true, s, events, r.mid
	return nil
}

// usable refuses what no policy could take.
func (r *remoteLine) usable() error {
	switch {
	case r.port == 0:
		return errors.New("port is 0") // refused, or bundle-only (RFC 9143 section 6): it stays so
	case !strings.EqualFold(r.kind, "audio"):
		return fmt.Errorf("media is %.20q, want audio", r.kind)
	case !knownProto(r.proto):
		return fmt.Errorf("transport is %.40q, want RTP", r.proto)
	case r.host == "":
		return errors.New("no c= line")
	case r.addr.IsMulticast():
		return errors.New("address is multicast")
	}
	return nil
}

// chooseKey takes the first a=crypto line that we fully support (RFC 4568 section 5.1.2). nil without error: plain RTP.
func (r *remoteLine) chooseKey(p Policy) (*crypto, error) {
	reason := errors.New("no a=crypto line")
	for _, value := range r.crypto {
		c, err := parseCrypto(value)
		if err == nil {
			return &c, nil
		}
		reason = err
	}
	if plainProto(r.proto) && !p.RequireSRTP {
		return nil, nil //nolint:nilnil // plain RTP is an outcome, not an error
	}
	return nil, reason
}

// ownKey repeats our key of the last exchange while theirs is unchanged, else makes a new one.
func ownKey(c *crypto, prev *line) *Key {
	if prev != nil && prev.accepted && prev.stream.SendKey != nil &&
		prev.stream.SendKey.Suite == c.key.Suite && prev.stream.RecvKey.equal(&c.key) {
		return prev.stream.SendKey
	}
	s, _ := suiteOf(c.key.Suite)
	return newKey(s)
}

// place sets addresses and directions.
func (s *Stream) place(r *remoteLine) {
	s.Remote, s.RemoteRTCP = r.remotes(s.Mux)
	nowhere := r.addr.IsValid() && r.addr.IsUnspecified()
	if !r.addr.IsValid() {
		s.RemoteHost = r.host
	}
	s.Theirs = r.direction
	s.Ours = answerTo(r.direction, nowhere)
	s.Hold = nowhere || r.direction == SendOnly || r.direction == Inactive
}

// dropAlternatives refuses the plain one of a line that was offered twice, as SAVP and as AVP (RFC 6337 section 3.1): same
// party, one with a key and one without.
func (x *Exchange) dropAlternatives() {
	paired := map[int]bool{}
	for i := range x.lines {
		plain := &x.lines[i]
		if !plain.accepted || plain.stream.RecvKey != nil {
			continue
		}
		for j := range x.lines {
			secure := &x.lines[j]
			if !secure.accepted || secure.stream.RecvKey == nil || paired[j] ||
				secure.stream.Title != plain.stream.Title || secure.stream.Label != plain.stream.Label {
				continue
			}
			paired[j] = true
			*plain = line{m: plain.m}
			break
		}
	}
}
