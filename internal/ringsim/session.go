package ringsim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The states of a party, as RingCentral spells them.
const (
	stateSetup        = "Setup"
	stateProceeding   = "Proceeding"
	stateAnswered     = "Answered"
	stateHold         = "Hold"
	stateDisconnected = "Disconnected"
	stateGone         = "Gone"
	stateParked       = "Parked"

	reasonSupervising = "Supervising"

	outbound = "Outbound" // the caller's party, whoever is ours
	inbound  = "Inbound"
)

// Role says what a party, or a stream, is in the call.
type Role string

// The roles.
const (
	RoleCustomer   Role = "customer"
	RoleAgent      Role = "agent"
	RoleOther      Role = "other"
	RoleSupervisor Role = "supervisor"
	RoleMix        Role = "mix"
)

// session is one telephony session: plain data, guarded by Sim.mu.
type session struct {
	id       string
	legacy   string // sessionId of the older API: digits
	created  time.Time
	ended    time.Time
	form     Form
	parties  []*party
	legs     []*leg
	begin    time.Time // when the call was answered: index 0 of what its people say
	room     room      // those who can be heard
	sequence int       // of the newest event
	parked   bool
	pending  *leg          // FormTwoLines: waits for its second request
	reversed chan struct{} // ReverseInvites: the answer that the first party-level INVITE waits for
	agent    *party
	peer     *party // the far side: the customer, or a colleague
	call     *Call
}

// party is one participant.
type party struct {
	id          string
	role        Role
	direction   string
	voice       *voice     // what it says; nil: nothing
	queue       bool       // it came through a call queue
	peer        *peer      // stateGone: where the call goes on
	park        string     // stateParked: where it waits
	told        bool       // the party has been in an event
	extension   *Extension // nil: outside the account
	from, to    endpoint
	state       string
	reason      string
	answered    time.Time
	callID      string // of that extension's leg
	tags        [2]string
	supervision *supervision // RoleSupervisor only
}

// endpoint is one end as from and to show it.
type endpoint struct {
	phone, name, extension, device string
}

func (e endpoint) object() object {
	o := object{}
	put := func(k, v string) {
		if v != "" {
			o[k] = v
		}
	}
	put("phoneNumber", e.phone)
	put("name", e.name)
	put("extensionId", e.extension)
	put("deviceId", e.device)
	return o
}

// peer names a party of another session.
type peer struct{ legacy, session, party string }

// live is a party that the session still has: one that parked the call is.
func (p *party) live() bool { return p.state != stateDisconnected && p.state != stateGone }

// talking is a party whose audio can be heard: a held one counts.
func (p *party) talking() bool { return p.state == stateAnswered || p.state == stateHold }

// newSessionID has the form that RingCentral's have since 2024: hex groups joined by z, the second one the time.
func newSessionID(r *rand.Rand, now time.Time) string {
	return fmt.Sprintf("s-a0d7%09xz%011xz%07x0000", r.Uint64N(1<<36), now.UnixMilli(), r.Uint64N(1<<28))
}

func newLegacyID(r *rand.Rand) string { return fmt.Sprintf("%09d016", r.Uint64N(1e9)) }

// nextPartyID counts on: ids are never used twice in a session.
func (se *session) nextPartyID() string { return se.partyID(len(se.parties) + 1) }

func (se *session) partyID(n int) string {
	return fmt.Sprintf("p-%s-%d", strings.TrimPrefix(se.id, "s-"), n)
}

func (se *session) add(p *party, r *rand.Rand) *party {
	p.id = se.nextPartyID()
	p.callID = fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
	p.tags = [2]string{fmt.Sprintf("%x", r.Uint32()), fmt.Sprintf("127.0.0.1-5070-%x", r.Uint64N(1<<52))}
	se.parties = append(se.parties, p)
	return p
}

func (se *session) party(id string) *party {
	for _, p := range se.parties {
		if p.id == id {
			return p
		}
	}
	return nil
}

// participants counts the people on the line; supervisors don't count, nor do those who left.
func (se *session) participants() int {
	n := 0
	for _, p := range se.parties {
		if p.role != RoleSupervisor && p.live() && p.state != stateParked {
			n++
		}
	}
	return n
}

// supervisors lists the supervisions that go on.
func (se *session) supervisors() []*supervision {
	var out []*supervision
	for _, p := range se.parties {
		if p.supervision != nil && p.live() {
			out = append(out, p.supervision)
		}
	}
	return out
}

// readable tells whether the session can still be read: an ended one can for a while.
func (se *session) readable(now time.Time, linger time.Duration) bool {
	return se.ended.IsZero() || now.Sub(se.ended) < linger
}

func (w *world) session(id string, now time.Time, linger time.Duration) *session {
	for _, se := range w.sessions {
		if se.id == id && se.readable(now, linger) {
			return se
		}
	}
	return nil
}

// forgetAfter is how long an ended session is kept for active-calls, the longest that any answer shows it.
const forgetAfter = 10 * time.Minute

func (w *world) forget(now time.Time) {
	keep := w.sessions[:0]
	for _, se := range w.sessions {
		if se.ended.IsZero() || now.Sub(se.ended) < forgetAfter {
			keep = append(keep, se)
		}
	}
	clear(w.sessions[len(keep):])
	w.sessions = keep
}
