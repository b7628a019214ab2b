package trunk

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// agreed is what an exchange of SDPs settled for one line.
type agreed struct {
	refused     bool // port 0 on either side
	law         Law
	sends       bool // we may send: the device receives
	claimed     mediaLine
	suite       string
	send, reply []byte // master keys: ours, and the device's
}

// checkAnswer compares the device's answer with our offer, line by line. err is what RingCentral would not take; soft are
// sentences on what it tolerates.
func checkAnswer(o *ours, answer *session) (out []agreed, soft []string, err error) {
	if len(answer.media) != len(o.lines) {
		return nil, nil, fmt.Errorf("answer has %d m-lines, want the offer's %d", len(answer.media), len(o.lines))
	}
	for i := range o.lines {
		a, s, err := checkLine(o, &o.lines[i], &answer.media[i])
		if err != nil {
			return nil, soft, fmt.Errorf("m-line %d: %w", i+1, err)
		}
		for _, text := range s {
			soft = append(soft, fmt.Sprintf("m-line %d: %s", i+1, text))
		}
		out = append(out, a)
	}
	return out, soft, nil
}

func checkLine(o *ours, l *ourLine, m *mediaLine) (a agreed, soft []string, err error) {
	a = agreed{claimed: *m, refused: m.addr.Port() == 0 || l.port == 0}
	proto := "RTP/AVP"
	if o.srtp {
		proto = "RTP/SAVP"
	}
	if m.kind != "audio" || m.proto != proto {
		return a, nil, fmt.Errorf("answer says %s %s, want the offer's audio %s", m.kind, m.proto, proto)
	}
	if a.refused {
		if m.addr.Port() != 0 {
			return a, nil, fmt.Errorf("answer has port %d on a line offered with port 0", m.addr.Port())
		}
		return a, nil, nil
	}
	if a.law, err = checkFormats(l, o.offered(l), m); err != nil {
		return a, nil, err
	}
	if text := checkDirection(l.direction, m.direction); text != "" {
		soft = append(soft, text)
	}
	a.sends = sends(l.direction, m.direction)
	if m.title != "" && m.title != l.title {
		soft = append(soft, fmt.Sprintf("i=%s is not the offer's %q", m.title, l.title))
	}
	if !o.srtp {
		if len(m.cryptos) > 0 {
			soft = append(soft, "a=crypto in an answer with RTP/AVP")
		}
		return a, soft, nil
	}
	s, err := a.takeKey(o.cryptos(l), m)
	return a, append(soft, s...), err
}

// checkFormats wants a subset of what was offered, with one of G.711's laws, and the offer's numbers.
func checkFormats(l *ourLine, offered []string, m *mediaLine) (Law, error) {
	law, found := PCMU, false
	for _, f := range m.formats {
		if !slices.Contains(offered, f) {
			return law, fmt.Errorf("format %s was not offered", f)
		}
		n, _ := strconv.Atoi(f)
		if !found && (f == "0" || f == "8") && slices.Contains(l.laws, Law(n)) {
			law, found = Law(n), true
		}
	}
	if !found {
		return law, fmt.Errorf("formats %v have no G.711", m.formats)
	}
	want := map[string]string{"0": "PCMU/8000", "8": "PCMA/8000", "101": "TELEPHONE-EVENT/8000"}
	for f, name := range m.names {
		if want[f] != "" && name != want[f] && name != want[f]+"/1" {
			return law, fmt.Errorf("a=rtpmap:%s is %s, want %s", f, name, want[f])
		}
	}
	return law, nil
}

// checkDirection is RFC 3264 section 6.1.
func checkDirection(offer, answer string) string {
	allowed := map[string][]string{
		"sendrecv": {"sendrecv", "sendonly", "recvonly", "inactive"}, "sendonly": {"recvonly", "inactive"},
		"recvonly": {"sendonly", "inactive"}, "inactive": {"inactive"},
	}
	if !slices.Contains(allowed[offer], answer) {
		return fmt.Sprintf("a=%s answered with a=%s", offer, answer)
	}
	return ""
}

// sends tells whether media may flow from us, given our direction and the device's.
func sends(our, theirs string) bool {
	return (our == "sendrecv" || our == "sendonly") && (theirs == "sendrecv" || theirs == "recvonly")
}

// takeKey wants exactly one a=crypto, its tag and suite of the offer (RFC 4568 section 5.1.2), and a key of the device's own.
func (a *agreed) takeKey(offered []cryptoLine, m *mediaLine) (soft []string, err error) {
	if len(m.cryptos) != 1 {
		return nil, fmt.Errorf("answer has %d a=crypto lines, want 1", len(m.cryptos))
	}
	c := m.cryptos[0]
	for _, o := range offered {
		if o.tag == c.tag && o.suite == c.suite {
			a.send = o.key
		}
		if bytes.Equal(o.key, c.key) {
			soft = append(soft, "a=crypto repeats the offerer's own key")
		}
	}
	if a.send == nil {
		return nil, fmt.Errorf("a=crypto:%s %s was not offered", c.tag, c.suite)
	}
	a.suite, a.reply = c.suite, c.key
	return soft, nil
}

// answerOffer is our answer to an offer of the device: in an ACK, or to its re-INVITE. keys are ours, per line.
func answerOffer(o *ours, offer *session) ([]agreed, error) {
	if len(offer.media) != len(o.lines) {
		return nil, fmt.Errorf("offer has %d m-lines, want %d", len(offer.media), len(o.lines))
	}
	out := make([]agreed, len(o.lines))
	for i := range o.lines {
		l, m := &o.lines[i], &offer.media[i]
		if want := map[bool]string{false: "RTP/AVP", true: "RTP/SAVP"}[o.srtp]; m.kind != "audio" || m.proto != want {
			return nil, fmt.Errorf("m-line %d: offer says %s %s, want audio %s", i+1, m.kind, m.proto, want)
		}
		if err := out[i].fromOffer(l, m, o.srtp); err != nil {
			return nil, fmt.Errorf("m-line %d: %w", i+1, err)
		}
	}
	return out, nil
}

func (a *agreed) fromOffer(l *ourLine, m *mediaLine, srtp bool) error {
	a.claimed = *m
	if a.refused = m.addr.Port() == 0 || l.port == 0; a.refused {
		l.port, l.answered = 0, m.formats[:1]
		return nil
	}
	at := slices.IndexFunc(m.formats, func(f string) bool { return f == "0" || f == "8" })
	if at < 0 {
		return fmt.Errorf("formats %v have no G.711", m.formats)
	}
	if m.formats[at] == "8" {
		a.law = PCMA
	}
	l.answered = []string{m.formats[at]}
	if slices.Contains(m.formats, "101") {
		l.answered = append(l.answered, "101")
	}
	l.direction = mirrored(m.direction)
	a.sends = sends(l.direction, m.direction)
	if !srtp {
		return nil
	}
	for _, c := range m.cryptos {
		if c.suite == suite80 || c.suite == suite32 {
			l.chosen = cryptoLine{tag: c.tag, suite: c.suite, key: l.keys[0]}
			a.suite, a.send, a.reply = c.suite, l.keys[0], c.key
			return nil
		}
	}
	return fmt.Errorf("no a=crypto with %s or %s", suite80, suite32)
}
