package sip

import (
	"strings"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// challenged says whether a 401 or 407 to a request of ours in this dialog can be answered: once, and only where the realm
// is the account's, for a digest under another one would be a gift to whoever asks.
func (d *Dialog) challenged(res *gosip.Response) bool {
	name, proxy := "WWW-Authenticate", false
	switch res.StatusCode {
	case 401:
	case 407:
		name, proxy = "Proxy-Authenticate", true
	default:
		d.own.asked = false
		return false
	}
	var ours []string
	for _, v := range splitChallenges(values(res, name)) {
		if c, err := digest.ParseChallenge(v); err == nil && d.a.ourRealm(c.Realm) {
			ours = append(ours, v)
		}
	}
	if d.own.asked || len(ours) == 0 {
		d.own.asked, d.auth.chal = false, nil
		return false
	}
	d.auth.begin()
	d.own.asked = d.auth.challenge(ours, proxy) == digestAnswered
	return d.own.asked
}

// authorize adds the answer to the last challenge, and remembers it for the ACK (RFC 3261 section 13.2.2.4).
func (d *Dialog) authorize(req *gosip.Request) {
	d.own.proof = nil
	name, value, err := d.auth.authorization(string(req.Method), req.Recipient.String())
	if err != nil || name == "" {
		return
	}
	d.own.proof = gosip.NewHeader(name, value)
	req.AppendHeader(d.own.proof)
}

// ourRealm: the domain, or what the registrar asked for.
func (a *Account) ourRealm(realm string) bool {
	if r := a.realm.Load(); r != nil && *r == realm {
		return true
	}
	return strings.EqualFold(realm, a.domain.Host)
}

// learnRealm remembers under which realm the registrar asked.
func (a *Account) learnRealm() {
	if a.auth.chal != nil {
		realm := a.auth.chal.Realm
		a.realm.Store(&realm)
	}
}
