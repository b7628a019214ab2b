package sip

import (
	"bytes"
	"log/slog"
	"strings"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/internal/attr"
)

// maxShown is how much of a stranger's octets a log line may show.
const maxShown = 80

// Why something that came was not taken. Each is one log line in a minute, with the count and the last case.
const (
	noticeStranger  = "neither the registrar nor in accept_from"
	noticeSources   = "too many sources"
	noticeParse     = "no SIP message"
	noticeMalformed = "a header is missing or wrong"
	noticeCrowd     = "too many requests at once"
	noticeFlood     = "more messages from there than are read"
	noticeScanner   = "a scanner"
)

// notice tells what was dropped or refused before it was a call of ours.
func (a *Account) notice(reason, source, what string) {
	a.log.Warn("message not taken", attr.Reason(reason), attr.Remote(clean(source, maxText)), slog.String("what", clean(what, maxShown)))
}

// crowded counts a request that was dropped for want of room.
func (a *Account) crowded(req *gosip.Request) {
	a.counters.add(cntMailFull, 1)
	a.notice(noticeCrowd, req.Source(), string(req.Method))
}

// unreadable counts what is no message, or none that can be answered.
func (a *Account) unreadable(reason, source, what string) {
	a.counters.add(cntMalformed, 1)
	a.notice(reason, source, what)
}

// foreign counts a datagram of somebody whom we don't listen to. Its content is the stranger's choice: only the method is
// shown, for it may name people.
func (a *Account) foreign(reason, source string, b []byte) {
	a.counters.add(cntDropSource, 1)
	if isBlank(b) || isSTUN(b) {
		return
	}
	a.notice(reason, source, firstWord(b))
}

// flooded counts a datagram that was not looked at for want of time.
func (a *Account) flooded(source string, b []byte) {
	a.counters.add(cntDropFlood, 1)
	a.notice(noticeFlood, source, firstWord(b))
}

// look is what looked found.
type look uint8

const (
	lookGood look = iota
	lookBad       // it can't be parsed
	lookDrop      // it is not to be answered
)

// looked parses a message: what sipgo would drop in silence, or answer without a word to us, must be seen.
func (a *Account) looked(b []byte, source string, proxy bool) look {
	m, err := a.parser.ParseSIP(b)
	if err != nil {
		a.unreadable(noticeParse, source, firstWord(b))
		return lookBad
	}
	if !proxy && scans(m) {
		a.counters.add(cntDropScanner, 1)
		a.notice(noticeScanner, source, firstWord(b))
		return lookDrop
	}
	if req, ok := m.(*gosip.Request); ok && (req.CSeq() == nil || req.Via() == nil) {
		a.unreadable(noticeMalformed, source, string(req.Method)) // sipgo answers 400 and does not hand it on
	}
	return lookGood
}

// firstWord of a message is its method.
func firstWord(b []byte) string {
	line, _, _ := bytes.Cut(b[:min(len(b), maxShown)], []byte("\r"))
	word, _, _ := strings.Cut(string(line), " ")
	return word
}
