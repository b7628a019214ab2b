package supervise

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/earshot/earshot/call"
)

// groupsOf looks at the call monitoring groups in which the login's user may listen.
func (c *checkup) groupsOf(ctx context.Context, l *checkedLogin) {
	groups, _, err := l.account.Groups(ctx)
	if err != nil {
		c.refused(l, MarkFail, "groups", "give the user the permission ReadExtensions", err)
		return
	}
	l.groups = groups
	var texts []string
	mine, unread := 0, 0
	for _, g := range groups {
		if g.Unread != "" {
			unread++
		}
		if g.Monitors(l.owner.ID) {
			mine++
			texts = append(texts, fmt.Sprintf("%s (%s): %s", g.Name, g.ID, plural(len(g.Monitored(l.owner.ID)), "monitored member")))
		}
	}
	switch {
	case len(groups) == 0:
		c.add(l, MarkFail, "groups", "in the admin portal, Phone System, Groups, Call Monitoring: make a group, the supervisor as Monitoring, the agents as Monitored",
			"the account has no call monitoring group")
	case mine == 0 && unread == 0:
		c.add(l, MarkFail, "groups", "in the admin portal, Phone System, Groups, Call Monitoring: add "+l.owner.Extension+" to the agents' group as Monitoring",
			"%s is Monitoring in none of the %s", l.owner.Extension, plural(len(groups), "group"))
	case mine == 0:
		c.add(l, MarkWarn, "groups", "ask again later: the request budget is the joins'", "%d of %s not read, and %s is Monitoring in none of the others",
			unread, plural(len(groups), "group"), l.owner.Extension)
	default:
		c.add(l, MarkOK, "groups", "", "%s", short(texts))
	}
}

// wanted are the configured agents and groups of all logins.
func (c *checkup) wanted() (agents, groups []string) {
	for _, l := range c.logins {
		a, g := l.account.cfg.Agents, l.account.cfg.Groups
		if l.account.daemon != nil {
			a, g = l.account.daemon.configuredAgents()
		}
		agents, groups = append(agents, a...), append(groups, g...)
	}
	return uniq(agents), uniq(groups)
}

// covered says whether any login's user may listen to the agent, named by number or id.
func (c *checkup) covered(agent string) bool {
	for _, l := range c.logins {
		for _, g := range l.groups {
			m, ok := g.member(agent)
			if ok && m.Monitored && m.ID != l.owner.ID && g.Monitors(l.owner.ID) {
				return true
			}
		}
	}
	return false
}

// groupsKnown says whether all groups of all logins could be read: else nobody can be said to be in none.
func (c *checkup) groupsKnown() bool {
	for _, l := range c.logins {
		if l.groups == nil || l.owner.ID == "" || slices.ContainsFunc(l.groups, func(g MonitoringGroup) bool { return g.Unread != "" }) {
			return false
		}
	}
	return true
}

// agents looks whether each agent that is to be heard may be, and how large a pool that asks for.
func (c *checkup) agents(ctx context.Context) {
	agents, groups := c.wanted()
	if len(agents)+len(groups) == 0 {
		c.add(nil, MarkWarn, "agents", "set supervise.agents or supervise.groups: `earshot groups` shows what there is", "none are configured: no call is joined")
		return
	}
	if !slices.ContainsFunc(c.logins, func(l *checkedLogin) bool { return l.groups != nil }) {
		c.add(nil, MarkWarn, "agents", "", "not compared: the groups could not be read")
		return
	}
	agents = append(agents, c.membersOf(groups)...)
	agents = uniq(agents)
	c.heard = len(agents)
	var lacking []string
	for _, a := range agents {
		if !c.covered(a) {
			lacking = append(lacking, a)
		}
	}
	switch {
	case len(agents) == 0:
		c.add(nil, MarkFail, "agents", "add agents as Monitored to the groups that supervise.groups names", "the configured groups have no monitored members")
	case len(lacking) == 0:
		c.add(nil, MarkOK, "agents", "", "%s, each Monitored in a group with a supervisor who is Monitoring", plural(len(agents), "agent"))
	default:
		c.lacking(ctx, agents, lacking)
	}
	c.sizing(len(agents))
}

// membersOf gives the numbers of the monitored members of the configured groups, and tells of groups that are not there.
func (c *checkup) membersOf(wanted []string) (agents []string) {
	for _, want := range wanted {
		found := false
		for _, l := range c.logins {
			for _, g := range l.groups {
				if g.ID != want && !strings.EqualFold(g.Name, want) {
					continue
				}
				found = true
				for _, m := range g.Monitored("") {
					if !c.isOwner(m.ID) {
						agents = append(agents, orID(m))
					}
				}
			}
		}
		if !found {
			c.add(nil, MarkFail, "groups", "see supervise.groups against `earshot groups`", "the account has no call monitoring group %s", want)
		}
	}
	return agents
}

func (c *checkup) isOwner(id string) bool {
	return slices.ContainsFunc(c.logins, func(l *checkedLogin) bool { return l.owner.ID == id })
}

func orID(m GroupMember) string {
	if m.Extension == "" {
		return m.ID
	}
	return m.Extension
}

// lacking tells of agents that nobody may listen to: those who are no extensions apart from those without a group.
func (c *checkup) lacking(ctx context.Context, agents, lacking []string) {
	mark := MarkFail
	if !c.groupsKnown() {
		mark = MarkWarn // it may be in one of those that could not be read
	}
	var unknown []string
	if known, err := c.extensions(ctx); err == nil {
		for _, a := range lacking {
			if !known[a] {
				unknown = append(unknown, a)
			}
		}
		lacking = slices.DeleteFunc(lacking, func(a string) bool { return slices.Contains(unknown, a) })
	}
	if len(unknown) > 0 {
		c.add(nil, MarkFail, "agents", "see supervise.agents: numbers or ids of extensions of this account", "%s: the account has no such extension", short(unknown))
	}
	if len(lacking) > 0 {
		c.add(nil, mark, "agents", "in the admin portal, Phone System, Groups, Call Monitoring: make them Monitored in a group in which the supervisor is Monitoring",
			"in no group with a supervisor: %s (%d of %s)", short(lacking), len(lacking), plural(len(agents), "agent"))
	}
}

// extensions are the numbers and ids of the account's extensions.
func (c *checkup) extensions(ctx context.Context) (map[string]bool, error) {
	var err error
	for _, l := range c.logins {
		if !l.good {
			continue
		}
		var docs []extensionDoc
		docs, _, err = ask(ctx, l.account, "extensions", func(ctx context.Context) ([]extensionDoc, error) {
			return readList[extensionDoc](ctx, l.account, l.account.request(opExtensions))
		})
		if err == nil {
			known := map[string]bool{}
			for _, d := range docs {
				known[string(d.ID)], known[string(d.Number)] = true, true
			}
			return known, nil
		}
	}
	return nil, err
}

// sizing compares the pool with what the agents ask for.
func (c *checkup) sizing(agents int) {
	load := c.opts.Load
	load.Agents = agents
	cfg := c.logins[0].account.cfg
	load.Mode = cfg.Mode
	for _, l := range c.logins {
		for _, d := range l.account.login.Devices { // the smallest counts
			if d.MaxDialogs > 0 && (load.MaxDialogs == 0 || d.MaxDialogs < load.MaxDialogs) {
				load.MaxDialogs = d.MaxDialogs
			}
		}
	}
	for _, r := range c.logins[0].account.Limits() {
		if !r.Told || r.Unlimited {
			continue
		}
		switch r.Group {
		case groupLight.String():
			load.LightPerMinute = r.Limit
		case groupHeavy.String():
			load.HeavyPerMinute = r.Limit
		}
	}
	need, err := Size(load)
	if err != nil {
		c.add(nil, MarkFail, "sizing", "docs/sizing.md", "%s", err)
		return
	}
	calls := load.PeakCalls
	if calls == 0 {
		calls = agents
	}
	mark := MarkOK
	devices := c.devices()
	if len(c.logins) < need.Supervisors || devices < need.Devices {
		mark = MarkWarn
	}
	c.add(nil, mark, "sizing", "docs/sizing.md; say your own peak with --peak and --per-second",
		"%s, %s at peak: %s; there are %d and %d", plural(agents, "agent"), plural(calls, "call"), need, len(c.logins), devices)
}

// devices counts those that the logins have.
func (c *checkup) devices() (n int) {
	for _, l := range c.logins {
		n += len(l.devices)
	}
	return n
}

// maxRefusals bounds the calls that are explained one by one.
const maxRefusals = 20

// refusals explains wanted calls that are not heard by what there is to see: RingCentral documents no codes for them.
func (c *checkup) refusals() {
	seen := map[*Supervisor]bool{}
	n := 0
	for _, l := range c.logins {
		d := l.account.daemon
		if d == nil || seen[d] {
			continue
		}
		seen[d] = true // several logins are one Supervisor's
		for _, st := range d.Status().Calls {
			if st.Cause == "" || st.State == "excused" || st.State == stateJoined.String() {
				continue
			}
			if n++; n > maxRefusals {
				return
			}
			c.add(nil, MarkWarn, "call "+st.Session, c.explain(st), "agent %s not heard: %s", st.Agent, st.Cause)
		}
	}
}

// explain finds what stands in a call's way. No code of RingCentral's takes part in it.
func (c *checkup) explain(status CallStatus) string {
	why, _, _ := strings.Cut(status.Cause, ":")
	switch call.Code(why) {
	case call.CodeNoCapacity:
		return "the pool is too small for so many calls: docs/sizing.md"
	case call.CodeNoInvite:
		return "RingCentral granted it and sent no INVITE: see registration, and whether another program is registered with the device"
	}
	var reasons []string
	for _, l := range c.logins {
		for _, s := range l.calls {
			if s.Session != status.Session || s.SupervisedBy == "" || slices.ContainsFunc(c.logins, func(o *checkedLogin) bool { return o.owner.Extension == s.SupervisedBy }) {
				continue
			}
			reasons = append(reasons, s.SupervisedBy+" listens to it, and RingCentral allows one: it is joined when "+s.SupervisedBy+" leaves")
		}
		for _, d := range l.devices {
			if !strings.EqualFold(d.Status, "Online") {
				reasons = append(reasons, "device "+d.ID+" is "+d.Status+": see registration")
			}
		}
		if l.control != nil {
			reasons = append(reasons, "the app may not control calls: see scopes")
		}
	}
	if status.Agent != "" && c.groupsKnown() && !c.covered(status.Agent) {
		reasons = append(reasons, status.Agent+" is in no group with a supervisor: see agents")
	}
	if len(reasons) == 0 {
		return "device, groups and call look as they should: ask RingCentral's support with the code and text; earshot asks again as long as the call lives"
	}
	return strings.Join(uniq(reasons), "; ")
}

// maxNamed is how many names one finding lists.
const maxNamed = 20

// short lists the first of many.
func short(texts []string) string {
	if len(texts) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:maxNamed], ", "), len(texts)-maxNamed)
	}
	return strings.Join(texts, ", ")
}

// uniq sorts, and leaves out what is there twice.
func uniq(texts []string) []string {
	set := map[string]bool{}
	for _, t := range texts {
		set[t] = true
	}
	return slices.Sorted(maps.Keys(set))
}
