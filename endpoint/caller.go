package endpoint

import (
	"slices"

	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/sip/offer"
)

// callerFacts are what an INVITE says of its caller and of how it came, for the record: names and numbers stand nowhere else.
func callerFacts(inv *sip.Invitation) map[string]any {
	facts := map[string]any{"sip_call_id": inv.CallID, "source": inv.Source, "auto_answer": inv.AutoAnswer}
	for name, said := range map[string][]string{
		"asserted": inv.Identity.Asserted, "diversion": inv.Identity.Diversion, "history": inv.Identity.History,
	} {
		if len(said) > 0 {
			facts[name] = said
		}
	}
	if inv.Replaces != "" {
		facts["replaces"] = inv.Replaces
	}
	// RFC 4568 section 8.3: who could read the signalling on its way can open the audio.
	if !inv.Secure && slices.ContainsFunc(inv.Lines, func(s offer.Stream) bool { return s.RecvKey != nil }) {
		facts["keys_in_clear"] = true
	}
	return facts
}

// unwanted says whether an INVITE that answers no request of ours is one that policy leaves alone.
func (r *ear) unwanted(inv *sip.Invitation, p plan) bool {
	return r.e.cfg.AnswerAsked && len(p.joins) == 0 && !inv.AutoAnswer
}

// takesOver makes the plan of an INVITE that replaces a leg (RFC 3891) that leg's call: a transfer is no new call.
func (r *ear) takesOver(inv *sip.Invitation, p *plan) {
	if inv.Replaces == "" || len(p.joins) > 0 {
		return
	}
	for _, c := range r.e.live() {
		c.mu.Lock()
		its := slices.ContainsFunc(c.legs, func(l *leg) bool { return l.id == inv.Replaces })
		c.mu.Unlock()
		if its {
			p.info.ID = c.id
			return
		}
	}
}
