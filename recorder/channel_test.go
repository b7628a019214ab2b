package recorder

import (
	"slices"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

func TestTracksFindTheirChannels(t *testing.T) {
	customer, agent, other, unknown, mix := call.RoleCustomer, call.RoleAgent, call.RoleOther, call.RoleUnknown, call.RoleMix
	both := []call.Party{{ID: "c", Role: customer}, {ID: "a", Role: agent}}
	nobody := []call.Party{{}, {}}
	ids := []call.Party{{ID: "x"}, {ID: "y"}}
	one := []call.Party{{Role: mix}}
	for _, c := range []struct {
		name     string
		expected []call.Party
		seats    []seat // id and open channel are filled in
		want     []int
		labels   []string
	}{
		{"by role, whatever the order", both, []seat{{role: agent}, {role: customer}}, []int{1, 0}, []string{"customer", "agent"}},
		{"two dialogs without roles: by order", nobody, []seat{{leg: "A"}, {leg: "B"}}, []int{0, 1}, []string{"customer", "agent"}},
		{"two lines without roles: by line", nobody, []seat{{leg: "A", line: 1}, {leg: "A"}}, []int{1, 0}, []string{"customer", "agent"}},
		{"lines count, not their numbers", nobody, []seat{{leg: "A", line: 5}, {leg: "A", line: 2}}, []int{1, 0}, []string{"customer", "agent"}},
		{"party known from the plan", both, []seat{{party: "a"}, {party: "c"}}, []int{1, 0}, nil},
		{"parties without roles: by the plan's order", ids, []seat{{party: "y"}, {party: "x"}}, []int{1, 0}, nil},
		{"one role known, the other side is the other", both, []seat{{leg: "A"}, {leg: "B", role: customer}}, []int{0, 1}, []string{"agent", "customer"}},
		{"same party again", both, []seat{{role: customer, party: "c"}, {role: agent, party: "a"}, {role: customer, party: "c"}}, []int{0, 1, 0}, nil},
		{"same role again", both, []seat{{role: customer, party: "c"}, {role: agent}, {role: customer, party: "c2"}}, []int{0, 1, 0}, nil},
		{"transfer: the new party takes the ended one's place", both, []seat{{role: customer, ended: true}, {role: agent}, {role: other}}, []int{0, 1, 0}, []string{"customer", "agent"}},
		{"a third at a time has none", both, []seat{{role: customer}, {role: agent}, {role: other}}, []int{0, 1, channelNone}, nil},
		{"an internal call", []call.Party{{Role: other}, {Role: agent}}, []seat{{role: agent}, {role: other}}, []int{1, 0}, []string{"other", "agent"}},
		{"two agents", []call.Party{{Role: agent}, {Role: agent}}, []seat{{role: agent, party: "1"}, {role: agent, party: "2"}}, []int{1, 1}, []string{"customer", "agent"}},
		{"join anew before the old one ended, nothing known", nobody, []seat{{leg: "A"}, {leg: "B"}, {leg: "C"}, {leg: "D"}}, []int{0, 1, 0, 1}, nil},
		{"a mix in a stereo part", both, []seat{{role: mix}}, []int{0}, []string{"mix", "agent"}},
		{"mono", one, []seat{{role: mix}}, []int{0}, []string{"mix"}},
		{"mono of nobody known", []call.Party{{}}, []seat{{}}, []int{0}, []string{"mix"}},
		{"mono of one party", []call.Party{{Role: customer}}, nil, nil, []string{"customer"}},
		{"mono, joined anew", one, []seat{{role: mix}, {role: mix}}, []int{0, 0}, []string{"mix"}},
		{"mono, two parties at a time", one, []seat{{role: customer}, {role: agent}}, []int{0, channelNone}, []string{"customer"}},
		{"mono, one after the other", one, []seat{{role: customer, ended: true}, {role: agent}}, []int{0, 0}, nil},
		{"mono, unknown twice", nil, []seat{{role: unknown}, {role: unknown}}, []int{0, 0}, []string{"mix"}},
	} {
		p := seating{channels: min(max(len(c.expected), 1), 2), roles: [2]call.Role{customer, agent}, expected: c.expected}
		seats := slices.Clone(c.seats)
		var got []int
		for i := range seats {
			seats[i].id, seats[i].channel = media.TrackID(i+1), channelOpen
		}
		p.decide(seats)
		for _, x := range seats {
			got = append(got, x.channel)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: channels: got %v, want %v", c.name, got, c.want)
		}
		if l := p.labels(seats); c.labels != nil && !slices.Equal(l, c.labels) {
			t.Errorf("%s: labels: got %v, want %v", c.name, l, c.labels)
		}
	}
}
