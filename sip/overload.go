package sip

import (
	gosip "github.com/emiago/sipgo/sip"
)

// maxTurnedAway is how many answers to INVITEs that there is no room for may be on their way at once: a far side that does
// not read them costs so many goroutines, not one for each.
const maxTurnedAway = 64

// retryFull is how long, in seconds, a caller is asked to leave us alone when too much is in our hands at once: what is
// there is answered within milliseconds, and a proxy may take the answer for the whole host (RFC 3261 section 21.5.4).
const retryFull = "2"

// turnAway answers an INVITE that there is no room for with 503, so that its caller looks elsewhere at once: without a word
// it would wait for 32 s, and on UDP come ten times more. Stateless: a transaction would cost what there is none left of.
// Anything else gets no answer.
func (a *Account) turnAway(req *gosip.Request) {
	if req.Method != gosip.INVITE || toTag(req) != "" {
		return
	}
	select {
	case a.turnedAway <- struct{}{}:
		defer func() { <-a.turnedAway }()
	default:
		return
	}
	defer func() {
		if p := recover(); p != nil {
			a.panicked(callID(req), p)
		}
	}()
	_ = a.srv.WriteResponse(a.reply(req, newTag(), 503, "", "Retry-After", retryFull))
}
