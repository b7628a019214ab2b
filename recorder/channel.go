package recorder

import (
	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// Where a track goes that has no channel yet, and one that can have none.
const (
	channelOpen = -2 // not decided
	channelNone = -1 // not in the audio: both channels hold other parties at that time
)

// seating decides which channel a track goes to.
type seating struct {
	channels int
	roles    [2]call.Role // left, right
	expected []call.Party
}

// seat is what the decision knows of a track.
type seat struct {
	id      media.TrackID
	channel int
	party   string
	role    call.Role
	leg     string
	line    int
	ended   bool
}

// decide gives every seat that is open its channel, in order of id. Channels are fixed when a part opens; a later track
// of a party goes where the party is, and where two overlap in time the newer one is heard.
func (p seating) decide(seats []seat) {
	for i := range seats {
		if s := &seats[i]; s.channel == channelOpen {
			if p.channels == 1 {
				s.channel = p.mono(seats, *s)
			} else {
				s.channel = p.stereo(seats, *s)
			}
		}
	}
}

// mono gives the only channel, unless somebody else is on it.
func (p seating) mono(seats []seat, s seat) int {
	for _, o := range seats {
		if o.channel != 0 || o.ended {
			continue
		}
		if s.party != "" && s.party == o.party {
			return 0
		}
		if named(s.role) && named(o.role) && s.role != o.role {
			return channelNone
		}
	}
	return 0
}

// named tells whether a role is that of one party.
func named(r call.Role) bool { return r != call.RoleUnknown && r != call.RoleMix }

func (p seating) stereo(seats []seat, s seat) int {
	for _, o := range seats {
		if s.party != "" && o.party == s.party && o.channel >= 0 {
			return o.channel
		}
	}
	role, promised := p.promise(s)
	for ch, r := range p.roles {
		if role == r {
			return p.byRole(seats, role, ch)
		}
	}
	if promised >= 0 && promised < p.channels && !live(seats, promised) {
		return promised
	}
	if n := lineRank(seats, s); n >= 0 && n < p.channels && !livesNamed(seats, n) {
		return n
	}
	for ch := range p.channels {
		if newest(seats, ch) == 0 {
			return ch
		}
	}
	best := channelNone
	for ch := range p.channels {
		if !live(seats, ch) && (best < 0 || newest(seats, ch) < newest(seats, best)) {
			best = ch
		}
	}
	if best >= 0 || named(role) {
		return best
	}
	// Nobody knows whose it is: the likely case is a join that comes anew before the old one's end was noticed.
	if newest(seats, 1) < newest(seats, 0) {
		return 1
	}
	return 0
}

// promise looks the party up in what was expected: its role, and its place there.
func (p seating) promise(s seat) (call.Role, int) {
	for i, e := range p.expected {
		if s.party == "" || e.ID != s.party {
			continue
		}
		if s.role == call.RoleUnknown {
			return e.Role, i
		}
		return s.role, i
	}
	return s.role, -1
}

// byRole gives the role's channel, or the other one if somebody of another role lives there and the other is free.
func (p seating) byRole(seats []seat, role call.Role, ch int) int {
	for _, o := range seats {
		if o.channel == ch && !o.ended && o.role != role && newest(seats, 1-ch) == 0 {
			return 1 - ch
		}
	}
	return ch
}

// lineRank is the place of s among the m= lines of its dialog, -1 if that has only one.
func lineRank(seats []seat, s seat) int {
	rank, siblings := 0, 0
	for _, o := range seats {
		if o.leg != s.leg || o.id == s.id || o.line == s.line {
			continue
		}
		siblings++
		if o.line < s.line {
			rank++
		}
	}
	if siblings == 0 {
		return -1
	}
	return rank
}

func live(seats []seat, ch int) bool {
	for _, o := range seats {
		if o.channel == ch && !o.ended {
			return true
		}
	}
	return false
}

func livesNamed(seats []seat, ch int) bool {
	for _, o := range seats {
		if o.channel == ch && !o.ended && named(o.role) {
			return true
		}
	}
	return false
}

// newest is the highest id on a channel, 0 if there is none.
func newest(seats []seat, ch int) (id media.TrackID) {
	for _, o := range seats {
		if o.channel == ch {
			id = max(id, o.id)
		}
	}
	return id
}

// labels names the channels by who is on them, else by who was to be.
func (p seating) labels(seats []seat) []string {
	if p.channels == 1 {
		role := call.RoleUnknown
		if len(p.expected) > 0 {
			role = p.expected[0].Role
		}
		if r := roleOn(seats, 0); r != call.RoleUnknown {
			role = r
		}
		if role == call.RoleUnknown {
			role = call.RoleMix
		}
		return []string{role.String()}
	}
	got := [2]call.Role{roleOn(seats, 0), roleOn(seats, 1)}
	out := make([]string, 2)
	for ch := range out {
		role := got[ch]
		if role == call.RoleUnknown {
			role = p.roles[ch]
			if got[1-ch] == role {
				role = p.roles[1-ch]
			}
		}
		out[ch] = role.String()
	}
	return out
}

// roleOn is the first known role on a channel.
func roleOn(seats []seat, ch int) call.Role {
	for _, o := range seats {
		if o.channel == ch && o.role != call.RoleUnknown {
			return o.role
		}
	}
	return call.RoleUnknown
}
