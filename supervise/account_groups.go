package supervise

import (
	"context"
	"errors"
	"slices"
	"time"
)

// MonitoringGroup is a call monitoring group of the account.
type MonitoringGroup struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Members []GroupMember `json:"members"`
	// Unread says why Members is empty: the group's members were not asked for, because the request budget is the joins'.
	Unread string `json:"unread,omitempty"`
}

// GroupMember is an extension in a call monitoring group; it may have both permissions.
type GroupMember struct {
	ID         string `json:"id"`
	Extension  string `json:"extension"`
	Monitoring bool   `json:"monitoring"` // may listen to the monitored
	Monitored  bool   `json:"monitored"`
}

// member finds an extension among the group's members, by id or number.
func (g MonitoringGroup) member(who string) (GroupMember, bool) {
	for _, m := range g.Members {
		if who != "" && (m.ID == who || m.Extension == who) {
			return m, true
		}
	}
	return GroupMember{}, false
}

// Monitors says whether the extension with that id may listen to the group's monitored members.
func (g MonitoringGroup) Monitors(id string) bool {
	m, ok := g.member(id)
	return ok && m.Monitoring
}

// Monitored lists the members that may be listened to by the extension with that id, itself left out.
func (g MonitoringGroup) Monitored(id string) (members []GroupMember) {
	for _, m := range g.Members {
		if m.Monitored && m.ID != id {
			members = append(members, m)
		}
	}
	return members
}

// Groups are the account's call monitoring groups with their members, those of the login's user first. Where the budget
// does not allow to read all members, the others are there as Unread.
func (a *Account) Groups(ctx context.Context) ([]MonitoringGroup, time.Time, error) {
	return ask(ctx, a, "groups", func(ctx context.Context) ([]MonitoringGroup, error) {
		docs, err := readList[extensionDoc](ctx, a, a.request(opGroups))
		if err != nil {
			return nil, err
		}
		docs, err = a.ownFirst(ctx, docs)
		if err != nil {
			return nil, err
		}
		groups := make([]MonitoringGroup, 0, len(docs))
		unread := ""
		for _, d := range docs {
			g := MonitoringGroup{ID: string(d.ID), Name: clean(string(d.Name)), Members: []GroupMember{}, Unread: unread}
			if unread == "" {
				if g.Members, err = a.members(ctx, g.ID); err != nil {
					if _, busy := errors.AsType[*busyError](err); !busy {
						return nil, err
					}
					unread = err.Error()
					g.Members, g.Unread = []GroupMember{}, unread
				}
			}
			groups = append(groups, g)
		}
		return groups, nil
	})
}

// manyGroups is from how many groups on it is worth a request to know which are the user's own.
const manyGroups = 10

// ownFirst puts the groups of which the login's user is a member in front: they are what matters if not all can be read.
func (a *Account) ownFirst(ctx context.Context, docs []extensionDoc) ([]extensionDoc, error) {
	docs = slices.DeleteFunc(docs, func(d extensionDoc) bool { return d.ID == "" })
	if len(docs) < manyGroups {
		return docs, nil
	}
	owner, err := a.Owner(ctx)
	if err != nil {
		return nil, err
	}
	r := a.request(opGroups)
	r.query = map[string][]string{"memberExtensionId": {owner.ID}}
	own, err := readList[extensionDoc](ctx, a, r)
	if err != nil {
		return nil, err
	}
	isOwn := func(d extensionDoc) bool {
		return slices.ContainsFunc(own, func(o extensionDoc) bool { return o.ID == d.ID })
	}
	slices.SortStableFunc(docs, func(x, y extensionDoc) int {
		switch {
		case isOwn(x) && !isOwn(y):
			return -1
		case isOwn(y) && !isOwn(x):
			return 1
		}
		return 0
	})
	return docs, nil
}

func (a *Account) members(ctx context.Context, group string) ([]GroupMember, error) {
	docs, err := readList[extensionDoc](ctx, a, a.request(opMembers, group))
	if err != nil {
		return nil, err
	}
	members := make([]GroupMember, 0, len(docs))
	for _, d := range docs {
		if d.ID != "" {
			members = append(members, GroupMember{ID: string(d.ID), Extension: string(d.Number), Monitoring: d.may("Monitoring"), Monitored: d.may("Monitored")})
		}
	}
	return members, nil
}
