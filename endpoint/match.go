package endpoint

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/sip/offer"
	"github.com/earshot/earshot/supervise"
)

// plan says which call an INVITE belongs to and whose audio its m= lines carry.
type plan struct {
	info    call.Info
	parties map[int]call.Party // by m= line
	joins   []joinKey          // the requests that it answers
	refused bool               // a user gave the call up
	wanted  time.Time          // since when it is waited for; zero: nobody did
	hurdle  string             // what kept it from coming at once; empty: nothing
}

// plan matches the INVITE to what was asked for. An INVITE that nobody asked for is a call of its own.
func (r *ear) plan(ctx context.Context, inv *sip.Invitation) plan {
	if r.sup != nil {
		own, monitored := supervise.Ref(inv.Own), supervise.Ref(inv.Monitored)
		j, ok := r.sup.Match(own, monitored)
		if !ok && (own != supervise.Ref{} || monitored != supervise.Ref{}) {
			j, ok = r.sup.Await(ctx, own, monitored)
		}
		if ok {
			return r.joined(inv, j)
		}
		r.log.Warn("invite nobody asked for", "leg", inv.CallID, "session", inv.Own.Session, "party", inv.Own.Party)
	}
	p := unasked(inv)
	p.info.Masked = r.maskedBy(inv.Own.Session)
	return p
}

// joined plans for an INVITE that answers a supervise request.
func (r *ear) joined(inv *sip.Invitation, j supervise.Join) plan {
	p := plan{
		info: call.Info{
			ID: j.Session, Sessions: []string{j.Session}, Expected: j.Expected,
			Agent: j.Agent.Extension, AgentID: j.Agent.ID, Groups: j.Groups, Direction: j.Direction, Queues: j.Queues, Mode: j.Mode, Talks: j.Talks, Obstacle: j.Obstacle,
		},
		parties: map[int]call.Party{}, wanted: j.Wanted, hurdle: j.Obstacle, refused: j.Released,
	}
	if j.Masked {
		p.info.Masked = byHook
	}
	if len(j.Chain) > 0 { // a transfer or a pick-up: the call keeps the name it began with
		p.info.ID, p.info.Sessions = j.Chain[0], slices.Clone(j.Chain)
	}
	if len(inv.Lines) < 2 {
		for _, s := range inv.Lines {
			p.parties[s.Line] = j.Party
		}
		if len(inv.Lines) == 0 { // late offer: one line of ours
			p.parties[0] = j.Party
		}
		p.joins = []joinKey{{j.Session, j.Party.ID}}
		return p
	}
	// One INVITE with a line per party: the ids stand in i=, else the order decides.
	sides := lineOrder(j.Expected, len(inv.Lines))
	for i, s := range inv.Lines {
		if m, ok := r.sup.MatchLine(s.Session, s.Party); ok {
			m.Party.IdentifiedBy = call.ByMediaTitle
			p.parties[s.Line] = m.Party
			p.joins = append(p.joins, joinKey{m.Session, m.Party.ID})
			continue
		}
		side := sides[i]
		p.joins = append(p.joins, joinKey{j.Session, side.ID})
		side.IdentifiedBy = call.ByLineOrder
		if s.Party != "" {
			side.ID = s.Party
		}
		p.parties[s.Line] = side
	}
	if len(p.info.Expected) < 2 {
		p.info.Expected = nil
		for _, s := range inv.Lines {
			p.info.Expected = append(p.info.Expected, p.parties[s.Line])
		}
		p.joins = []joinKey{{j.Session, j.Party.ID}}
	}
	return p
}

// lineOrder gives each of n lines a side: the expected parties if there are enough, else the first line is the customer and
// the second the agent (RingCentral's document names them in that order).
func lineOrder(expected []call.Party, n int) []call.Party {
	out := make([]call.Party, n)
	roles := []call.Role{call.RoleCustomer, call.RoleAgent}
	for i := range out {
		switch {
		case len(expected) >= n:
			out[i] = expected[i]
		case i < len(roles):
			out[i] = call.Party{Role: roles[i]}
		default:
			out[i] = call.Party{Role: call.RoleOther}
		}
	}
	return out
}

// unasked plans for a call that is no answer to a request: a plain registrar, or somebody dialled the device.
func unasked(inv *sip.Invitation) plan {
	p := plan{info: call.Info{ID: inv.CallID}, parties: map[int]call.Party{}}
	if inv.Own.Session != "" {
		p.info.ID, p.info.Sessions = inv.Own.Session, []string{inv.Own.Session}
	}
	if len(inv.Lines) < 2 {
		party := call.Party{Role: call.RoleMix, Name: inv.FromName, Number: inv.FromUser, IdentifiedBy: call.BySIP}
		if inv.Monitored.Party != "" {
			party = call.Party{ID: inv.Monitored.Party, IdentifiedBy: call.ByMonitoringIDs}
		}
		line := 0
		if len(inv.Lines) == 1 {
			line = inv.Lines[0].Line
		}
		p.parties[line] = party
		p.info.Expected = []call.Party{party}
		return p
	}
	for i, side := range lineOrder(nil, len(inv.Lines)) {
		side.ID, side.IdentifiedBy = inv.Lines[i].Party, call.ByLineOrder
		p.parties[inv.Lines[i].Line] = side
		p.info.Expected = append(p.info.Expected, side)
	}
	return p
}

func newLeg(c *Call, r *ear, inv *sip.Invitation, p plan, toward netip.Addr) *leg {
	return &leg{
		id: inv.CallID, call: c, ear: r, toward: toward, caller: callerFacts(inv), joins: p.joins, wanted: p.wanted, hurdle: p.hurdle, agent: p.info.Agent, born: r.e.engine.Now(),
		party: func(s offer.Stream) call.Party {
			if party, ok := p.parties[s.Line]; ok {
				return party
			}
			return call.Party{ID: s.Party, IdentifiedBy: call.ByMediaTitle} // a line that a later offer added
		},
		parties: slices.Collect(maps.Values(p.parties)), tracks: map[int]*media.Track{}, held: map[int]bool{}, oneWay: map[int]bool{},
	}
}
