package ringsim

import "time"

// isoTime is how the telephony API writes times; the presence API writes restTime.
const (
	isoTime  = "2006-01-02T15:04:05.000Z"
	restTime = "2006-01-02T15:04:05.000+0000"
)

func (s *Sim) partyObject(p *party) object {
	status := object{"code": p.state}
	if p.reason != "" {
		status["reason"] = p.reason
	}
	if p.peer != nil {
		status["peerId"] = object{"sessionId": p.peer.legacy, "telephonySessionId": p.peer.session, "partyId": p.peer.party}
	}
	o := object{
		"id": p.id, "direction": p.direction, "from": p.from.object(), "to": p.to.object(),
		"status": status, "muted": false, "standAlone": false,
	}
	// A party that belongs to nobody in the account has none of these.
	if p.extension != nil {
		o["accountId"], o["extensionId"] = s.cfg.Account.ID, p.extension.ID
		o["owner"] = object{"accountId": s.cfg.Account.ID, "extensionId": p.extension.ID}
	}
	if p.queue {
		o["queueCall"] = true
	}
	if p.park != "" {
		o["park"] = object{"id": p.park}
	}
	return o
}

// pathSession finds {session}; Sim.mu is held.
func (s *Sim) pathSessionLocked(rq *request) (*session, *apiError) {
	id := rq.PathValue("session")
	se := s.world.session(id, rq.now, s.cfg.Switches.EndedLinger)
	if se == nil {
		return nil, notFound("telephonySessionId", id)
	}
	return se, nil
}

func (s *Sim) getSession(rq *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	se, fail := s.pathSessionLocked(rq)
	if fail != nil {
		return nil, fail
	}
	parties := make([]object, 0, len(se.parties))
	for _, p := range se.parties {
		parties = append(parties, s.partyObject(p))
	}
	return object{
		"id": se.id, "creationTime": se.created.UTC().Format(time.RFC3339), "origin": object{"type": "Call"}, "parties": parties,
	}, nil
}

func (s *Sim) getParty(rq *request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	se, fail := s.pathSessionLocked(rq)
	if fail != nil {
		return nil, fail
	}
	p := se.party(rq.PathValue("party"))
	if p == nil {
		return nil, notFound("partyId", rq.PathValue("party"))
	}
	return s.partyObject(p), nil
}
