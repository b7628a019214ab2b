package ringsim

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"
)

// supervision is one successful request: a party of the session that listens.
type supervision struct {
	party      *party
	monitored  *party // nil at session level
	agent      *party
	device     *Device
	supervisor *Extension
	silent     bool // autoAnswer false: no headers that make a device answer
	sendOnly   bool
	answered   bool // the device answered its INVITE
	human      bool // by Occupy: no INVITE of ours
}

// superviseBody is a request's body, whatever its field names were.
type superviseBody struct {
	device, agentID, agentNumber string
	agentField                   string
	silent, sendOnly             bool
}

// inviteFirstWait bounds how long InviteFirst and ReverseInvites hold something back.
const inviteFirstWait = time.Second

// postSupervise serves both levels; the party's path has {party}.
func (s *Sim) postSupervise(rq *request) (any, *apiError) {
	raw, fail := readJSON(rq)
	if fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	se, fail := s.pathSessionLocked(rq)
	if fail != nil {
		s.mu.Unlock()
		return nil, fail
	}
	sv, fail := s.superviseLocked(rq, se, raw)
	if fail != nil {
		s.mu.Unlock()
		return nil, fail
	}
	l := s.planLocked(se, sv)
	answer := s.partyObject(sv.party)
	s.mu.Unlock()
	s.log.Info("call supervised", slog.String("call", se.id), slog.String("party", rq.PathValue("party")), slog.String("agent", sv.agent.extension.Number))
	if l == nil {
		return answer, nil
	}
	if err := s.enqueue(l); err != nil {
		s.legEnded(l)
		return nil, refuse(http.StatusInternalServerError, "CMN-203", "Internal server error")
	}
	if s.cfg.Switches.InviteFirst {
		wait := time.NewTimer(inviteFirstWait)
		defer wait.Stop()
		select {
		case <-l.answered:
		case <-l.done:
		case <-wait.C:
		case <-rq.Context().Done():
		}
	}
	return answer, nil
}

func readJSON(rq *request) ([]byte, *apiError) {
	kind, _, err := mime.ParseMediaType(rq.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, refuse(http.StatusBadRequest, "CMN-104", "Cannot parse request: want application/json")
	}
	raw, err := io.ReadAll(rq.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, refuse(http.StatusRequestEntityTooLarge, "CMN-104", "Cannot parse request: body is too large")
	} else if err != nil {
		return nil, refuse(http.StatusBadRequest, "CMN-104", "Cannot parse request")
	}
	return raw, nil
}

// parseSupervise checks the body's fields. Unknown ones are ignored, so a misspelt one is a missing one.
func parseSupervise(raw []byte, partyLevel bool, legacy LegacyBody) (superviseBody, *apiError) {
	var b superviseBody
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return b, refuse(http.StatusBadRequest, "CMN-103", "JSON can't be parsed")
	}
	if mode := text(fields["mode"]); mode != "Listen" {
		return b, invalidParameter("mode", mode)
	}
	if legacy != LegacyOnly {
		b.device, b.agentID, b.agentField = text(fields["supervisorDeviceId"]), text(fields["agentExtensionId"]), "agentExtensionId"
		if !partyLevel && b.agentID == "" {
			if b.agentNumber = text(fields["agentExtensionNumber"]); b.agentNumber != "" {
				b.agentField = "agentExtensionNumber"
			}
		}
	}
	if legacy == LegacyOnly || legacy == LegacySession && !partyLevel {
		if b.device == "" {
			b.device = text(fields["deviceId"])
		}
		if b.agentID == "" && b.agentNumber == "" {
			if b.agentNumber = text(fields["extensionNumber"]); b.agentNumber != "" {
				b.agentField = "extensionNumber"
			}
		}
	}
	if b.device == "" {
		return b, invalidParameter("supervisorDeviceId", "")
	}
	if b.agentID == "" && b.agentNumber == "" {
		return b, invalidParameter("agentExtensionId", "")
	}
	switch auto := text(fields["autoAnswer"]); auto {
	case "", "true":
	case "false":
		b.silent = true
	default:
		return b, invalidParameter("autoAnswer", auto)
	}
	switch sdp := text(fields["mediaSDP"]); sdp {
	case "", "sendRecv":
	case "sendOnly":
		b.sendOnly = true
	default:
		return b, invalidParameter("mediaSDP", sdp)
	}
	return b, nil
}

// text reads a string, number or boolean; anything else is as good as missing, or, for a flag, wrong.
func text(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case float64, bool:
		return string(raw)
	case nil:
		return ""
	default:
		return "?"
	}
}

// superviseLocked holds a request against the rules and adds the supervisor's party.
func (s *Sim) superviseLocked(rq *request, se *session, raw []byte) (*supervision, *apiError) {
	var monitored *party
	if id := rq.PathValue("party"); id != "" {
		if monitored = se.party(id); monitored == nil {
			return nil, notFound("partyId", id)
		}
	}
	b, fail := parseSupervise(raw, monitored != nil, s.cfg.Switches.LegacyBody)
	if fail != nil {
		return nil, fail
	}
	d := s.cfg.Account.device(b.device)
	if d == nil || d.Extension != rq.user.ID || !s.onlineLocked(d) {
		return nil, s.refuseTAS(http.StatusNotFound, codeSeen, "Can't find registered deviceId")
	}
	agent, fail := s.agentParty(se, b)
	if fail != nil {
		return nil, fail
	}
	if !s.cfg.Account.maySupervise(rq.user.ID, agent.extension.ID) {
		return nil, s.refuseTAS(http.StatusForbidden, "TAS-112", "Supervision is not permitted")
	}
	if !agent.talking() || monitored != nil && (!monitored.talking() || monitored.role == RoleSupervisor) {
		return nil, s.refuseTAS(http.StatusConflict, "TAS-106", "Incorrect party state")
	}
	if fail := s.oneSupervisor(se, d, monitored); fail != nil {
		return nil, fail
	}
	const mostParties = 2
	if monitored != nil && se.participants() > mostParties {
		return nil, s.refuseTAS(http.StatusConflict, "TAS-114", "Too many participants for supervision of a party")
	}
	sv := &supervision{monitored: monitored, agent: agent, device: d, supervisor: rq.user, silent: b.silent, sendOnly: b.sendOnly}
	sv.party = se.add(&party{
		role: RoleSupervisor, direction: outbound, extension: rq.user, state: stateAnswered, reason: reasonSupervising, answered: rq.now,
		from:        endpoint{phone: rq.user.Number, name: rq.user.Name, extension: rq.user.ID, device: d.ID},
		to:          endpoint{phone: agent.extension.Number, name: agent.extension.Name, extension: agent.extension.ID},
		supervision: sv,
	}, s.world.random)
	return sv, nil
}

// agentParty finds the agent that the body names among the session's parties.
func (s *Sim) agentParty(se *session, b superviseBody) (*party, *apiError) {
	x, value := s.cfg.Account.extension(b.agentID), b.agentID
	if b.agentID == "" {
		x, value = s.cfg.Account.byNumber(b.agentNumber), b.agentNumber
	}
	var found *party
	for _, p := range se.parties {
		if x != nil && p.extension == x && p.role != RoleSupervisor && (found == nil || p.live()) {
			found = p
		}
	}
	if found == nil {
		return nil, notFound(b.agentField, value)
	}
	return found, nil
}

// oneSupervisor: a call has one supervisor at a time, on one device.
func (s *Sim) oneSupervisor(se *session, d *Device, monitored *party) *apiError {
	for _, o := range se.supervisors() {
		if o.device != d {
			return s.refuseTAS(http.StatusConflict, "TAS-113", "The call is supervised already")
		}
		if o.monitored == monitored && s.cfg.Switches.RefuseTwice {
			return s.refuseTAS(http.StatusConflict, "TAS-113", "The party is supervised already")
		}
	}
	return nil
}
