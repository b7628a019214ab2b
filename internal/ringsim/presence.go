package ringsim

import (
	"time"
)

// activeCall is one entry of activeCalls, from the view of the extension whose party p is.
func activeCall(se *session, p *party, sipData bool) object {
	telephony := map[string]string{stateSetup: "Ringing", stateProceeding: "Ringing", stateParked: "ParkedCall", stateAnswered: "CallConnected", stateHold: "OnHold"}[p.state]
	o := object{
		"id": p.callID, "direction": p.direction, "queueCall": false,
		"from": p.from.phone, "to": p.to.phone, "telephonyStatus": telephony,
		"sessionId": se.legacy, "startTime": se.created.UTC().Format(restTime), "partyId": p.id, "telephonySessionId": se.id,
	}
	if p.from.name != "" {
		o["fromName"] = p.from.name
	}
	if p.to.name != "" {
		o["toName"] = p.to.name
	}
	toTag := p.tags[0]
	if p.answered.IsZero() {
		// While it rings the id is not the Call-ID, and the tag says so.
		o["id"], toTag = se.legacy, "blf"
	}
	if sipData {
		o["sipData"] = object{"callId": p.callID, "toTag": toTag, "fromTag": p.tags[1], "remoteUri": "-", "localUri": "-"}
	}
	return o
}

// presenceLocked is one extension's record. A supervisor's own party shows only once its device answered.
func (s *Sim) presenceLocked(rq *request, x *Extension, detailed, sipData bool) object {
	o := object{
		"uri":            s.extensionURI(rq, x.ID) + "/presence",
		"extension":      object{"uri": s.extensionURI(rq, x.ID), "id": number(x.ID), "extensionNumber": x.Number},
		"presenceStatus": "Available", "telephonyStatus": "NoCall", "userStatus": "Available", "dndStatus": "TakeAllCalls",
		"meetingStatus": "Disconnected", "allowSeeMyPresence": true, "ringOnMonitoredCall": false, "pickUpCallsOnHold": false,
	}
	var calls []object
	for _, se := range s.world.sessions {
		for _, p := range se.parties {
			if p.extension != x || !p.live() || p.supervision != nil && !p.supervision.answered {
				continue
			}
			c := activeCall(se, p, sipData)
			calls = append(calls, c)
			o["telephonyStatus"], o["presenceStatus"] = c["telephonyStatus"], "Busy"
		}
	}
	if detailed && len(calls) > 0 { // absent when there is none
		o["activeCalls"] = calls
	}
	return o
}

func flag(rq *request, name string) (bool, *apiError) {
	switch v := rq.queryValue(name); v {
	case "":
		return false, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, invalidParameter(name, v)
	}
}

func presenceFlags(rq *request) (detailed, sipData bool, fail *apiError) {
	if detailed, fail = flag(rq, "detailedTelephonyState"); fail != nil {
		return false, false, fail
	}
	sipData, fail = flag(rq, "sipData")
	return detailed, sipData, fail
}

func (s *Sim) getPresence(rq *request) (any, *apiError) {
	x, fail := s.pathExtension(rq)
	if fail != nil {
		return nil, fail
	}
	detailed, sipData, fail := presenceFlags(rq)
	if fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presenceLocked(rq, x, detailed, sipData), nil
}

func (s *Sim) getAccountPresence(rq *request) (any, *apiError) {
	p, fail := pageOf(rq)
	if fail != nil {
		return nil, fail
	}
	detailed, sipData, fail := presenceFlags(rq)
	if fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]object, 0, len(s.cfg.Account.Extensions))
	for i := range s.cfg.Account.Extensions {
		all = append(all, s.presenceLocked(rq, &s.cfg.Account.Extensions[i], detailed, sipData))
	}
	return rq.list(all, p), nil
}

// endedCallsLinger is how long active-calls goes on showing a call that has ended.
const endedCallsLinger = 120 * time.Second

// getActiveCalls is late at both ends, as RingCentral's list is: calls show up after a lag and stay after their end.
func (s *Sim) getActiveCalls(rq *request) (any, *apiError) {
	p, fail := pageOf(rq)
	if fail != nil {
		return nil, fail
	}
	var only *Extension
	if rq.PathValue("extension") != "" {
		if only, fail = s.pathExtension(rq); fail != nil {
			return nil, fail
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []object
	for _, se := range s.world.sessions {
		a := se.agent
		if only != nil && a.extension != only || a.extension == nil || a.answered.IsZero() || rq.now.Sub(a.answered) < s.cfg.Switches.ActiveCallsLag ||
			!se.ended.IsZero() && rq.now.Sub(se.ended) > endedCallsLinger {
			continue
		}
		all = append(all, s.activeCallRecord(rq, se))
	}
	return rq.list(all, p), nil
}

func (s *Sim) activeCallRecord(rq *request, se *session) object {
	a := se.agent
	result, end := "In Progress", rq.now
	if !se.ended.IsZero() {
		end = se.ended
		if result = "Accepted"; a.direction == outbound {
			result = "Call connected"
		}
	}
	from, to := a.from.object(), a.to.object()
	side := to
	if a.direction == outbound {
		side = from
	}
	side["extensionNumber"] = a.extension.Number
	id := "I" + a.callID[:14]
	return object{
		"uri": s.accountURI(rq) + "/call-log/" + id, "id": id, "sessionId": se.legacy, "telephonySessionId": se.id, "partyId": a.id,
		"startTime": se.created.UTC().Format(isoTime), "duration": seconds(end.Sub(se.created)), "type": "Voice", "direction": a.direction,
		"action": "Phone Call", "result": result, "from": from, "to": to, "transport": "PSTN",
	}
}
