package endpoint

import (
	"testing"

	"github.com/earshot/earshot/call"
)

func TestWhichPartyHasAPlaceInAPart(t *testing.T) {
	customer, agent := call.Party{ID: "c1", Role: call.RoleCustomer}, call.Party{ID: "a2", Role: call.RoleAgent}
	next, mix := call.Party{ID: "a3", Role: call.RoleAgent}, call.Party{Role: call.RoleMix}
	unknown := call.Party{ID: "x9"}
	pair, one := []call.Party{customer, agent}, []call.Party{mix}
	for _, c := range []struct {
		name     string
		expected []call.Party
		live     []call.Party
		party    call.Party
		want     bool
	}{
		{"the second of two", pair, []call.Party{customer}, agent, true},
		{"a party that comes again before its old dialog's end", pair, pair, agent, true},
		{"the next agent, the first one gone", pair, []call.Party{customer}, next, true},
		{"the next agent, the first one still there", pair, pair, next, false},
		{"all in one stream, where there are two channels", pair, pair, mix, false},
		{"and when nobody is left on them", pair, nil, mix, false},
		{"an expected party whose role the INVITE does not tell", pair, []call.Party{customer}, call.Party{ID: "a2"}, true},
		{"somebody unknown beside one", pair, []call.Party{customer}, unknown, true},
		{"somebody unknown beside two", pair, pair, unknown, false},
		{"all in one stream, again", one, []call.Party{mix}, mix, true},
		{"all in one stream, after it dropped", one, nil, mix, true},
		{"one of two, where there is one channel", one, nil, agent, false},
		{"the party that alone was promised", []call.Party{agent}, nil, agent, true},
		{"a second unknown dialog in one channel", []call.Party{{ID: "x8"}}, []call.Party{{ID: "x8"}}, unknown, false},
	} {
		pt := &part{info: call.Info{Expected: c.expected}, stereo: len(c.expected) > 1}
		if got := pt.fits(c.party, c.live); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}
