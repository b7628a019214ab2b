package ringsim

import (
	"encoding/json"
	"strconv"
	"time"
)

// Reasons of a party's state, as RingCentral spells them.
const (
	reasonBlind     = "BlindTransfer"
	reasonAttended  = "AttendedTransfer"
	reasonPark      = "CallPark"
	reasonPickup    = "Pickup"
	reasonNoAnswer  = "NoAnswer"
	reasonSwitch    = "CallSwitch"
	reasonCancelled = "Cancelled"
)

// enterLocked adds a party in its first state, and tells.
func (s *Sim) enterLocked(se *session, p *party, state string, now time.Time) *party {
	se.add(p, s.world.random)
	s.changeLocked(se, p, state, "", now)
	return p
}

// changeLocked moves a party to a state, and tells.
func (s *Sim) changeLocked(se *session, p *party, state, reason string, now time.Time) {
	p.state, p.reason = state, reason
	if state == stateAnswered && p.answered.IsZero() {
		p.answered = now
		if p.voice != nil {
			if se.begin.IsZero() {
				se.begin = now
			}
			from := int64(0) // those who are there when it begins are heard from the first sample on
			if now.After(se.begin) {
				from = se.index(now)
			}
			se.room.enterLocked(p.voice, from)
		}
	}
	if !p.live() || state == stateParked {
		if p.voice != nil {
			se.room.leaveLocked(p.voice, se.index(now))
		}
	}
	s.tellLocked(se, p, now)
}

// tellLocked publishes the party's state, with the session's next number.
func (s *Sim) tellLocked(se *session, p *party, now time.Time) {
	if se.sequence == 0 {
		se.sequence = 1 // the first event has 2
	}
	se.sequence++
	p.told = true
	if len(s.world.gateway.links) == 0 {
		return
	}
	n := &notice{
		topic: topicTelephony, code: p.state, direction: p.direction, from: p.from.phone, to: p.to.phone,
		uuid: strconv.FormatUint(s.world.gateway.random.Uint64()>>1, 10), path: "/restapi/v1.0/account/" + s.cfg.Account.ID,
		missed: p.state == stateDisconnected && p.direction == inbound && p.answered.IsZero() && p.extension != nil,
	}
	if p.extension != nil {
		n.extension = p.extension.ID
		n.path += "/extension/" + n.extension
	}
	presencePath := n.path + "/presence?detailedTelephonyState=true&sipData=true"
	n.path += "/telephony/sessions"
	body, err := json.Marshal(s.eventLocked(se, p, n.missed, now))
	if err != nil {
		s.log.Error("event not written", "err", err)
		return
	}
	n.body = body
	s.publishLocked(n, now)
	if p.extension != nil && s.cfg.Account.extension(n.extension) != nil {
		s.presenceNoticeLocked(p.extension, presencePath, now)
	}
}

// eventLocked is the body of a telephony session event: the changed party only.
func (s *Sim) eventLocked(se *session, p *party, missed bool, now time.Time) object {
	o := s.partyObject(p)
	delete(o, "owner")
	o["status"].(object)["rcc"] = false
	o["queueCall"], o["missedCall"] = p.queue, missed
	if p.park == "" {
		o["park"] = object{}
	}
	return object{
		"sequence": se.sequence, "sessionId": se.legacy, "telephonySessionId": se.id, "serverId": "10.13.22.27.TAM",
		"eventTime": now.UTC().Format(isoTime), "parties": []object{o}, "origin": object{"type": "Call"},
	}
}

// presenceNoticeLocked tells of an extension's presence, which changes with each of its parties.
func (s *Sim) presenceNoticeLocked(x *Extension, path string, now time.Time) {
	wanted := false
	for _, k := range s.world.gateway.links {
		if k.sub == nil {
			continue
		}
		for i := range k.sub.filters {
			wanted = wanted || k.sub.filters[i].topic == topicPresence
		}
	}
	if !wanted {
		return
	}
	o := s.presenceLocked(&request{host: s.URL()}, x, true, true)
	s.world.presences++
	o["sequence"], o["extensionId"], o["totalActiveCalls"] = s.world.presences, x.ID, 0
	if calls, ok := o["activeCalls"].([]object); ok {
		o["totalActiveCalls"] = len(calls)
	}
	delete(o, "extension")
	delete(o, "uri")
	body, err := json.Marshal(o)
	if err != nil {
		s.log.Error("event not written", "err", err)
		return
	}
	s.publishLocked(&notice{
		topic: topicPresence, extension: x.ID, uuid: strconv.FormatUint(s.world.gateway.random.Uint64()>>1, 10), path: path, body: body,
	}, now)
}

// leaveLocked takes a party out of its session: whoever listens to it, or to the call by it, is sent away. A session with
// fewer than two people left ends, unless it is parked.
func (s *Sim) leaveLocked(se *session, p *party, state, reason string, now time.Time) {
	s.changeLocked(se, p, state, reason, now)
	for _, l := range se.legs {
		for _, sv := range l.supervisions {
			if (sv.agent == p || sv.monitored == p) && !s.cfg.Switches.KeepDialogs {
				l.stopLocked()
			}
		}
	}
	if !s.cfg.Switches.KeepDialogs {
		se.freeLocked(s, func(sv *supervision) bool { return sv.agent == p }, now)
	}
	if se.participants() < 2 && !se.parked {
		se.call.hangupLocked(now)
	}
}

// holdLocked does to the streams what the switch says of a hold.
func (s *Sim) holdLocked(se *session, on bool, now time.Time) {
	n := se.index(now)
	say := func(src trunkSource) {
		for _, p := range se.parties {
			if p.voice == nil {
				continue
			}
			if src == nil {
				p.voice.turnLocked(n, p.voice.source())
			} else {
				p.voice.turnLocked(n, src)
			}
		}
	}
	var instead trunkSource
	direction := "sendrecv"
	switch s.cfg.Switches.HoldMedia {
	case HoldSilence:
		instead = silence
	case HoldMusic:
		instead = Music{}
	case HoldInactive:
		direction = "inactive"
	case HoldSendonly:
		instead, direction = Music{}, "sendonly"
	case HoldPause, HoldContinues:
	}
	if !on {
		instead, direction = nil, "sendrecv"
	}
	switch s.cfg.Switches.HoldMedia {
	case HoldContinues:
	case HoldPause:
		for _, l := range se.legs {
			for _, st := range l.streams {
				st.Pause(on)
			}
		}
	case HoldInactive, HoldSendonly:
		for _, l := range se.legs {
			if l.dialog != nil && !l.ended {
				s.taskLocked(&reinvite{l.dialog, direction})
			}
		}
		say(instead)
	case HoldSilence, HoldMusic:
		say(instead)
	}
}
