package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// extensionDoc is one extension of the account, one group, or one member of a group: they share these fields.
type extensionDoc struct {
	ID          text       `json:"id"`
	Number      text       `json:"extensionNumber"`
	Name        text       `json:"name"`
	Type        text       `json:"type"`        // extensions only
	Permissions list[text] `json:"permissions"` // members only; an object for extensions
}

// list reads every page of a list.
func (c *client) list(ctx context.Context, o op, query url.Values, ids ...string) ([]extensionDoc, error) {
	var docs []extensionDoc
	_, err := c.pages(ctx, request{op: o, ids: ids, query: query, share: shareLook, patience: setupPatience}, func(raw json.RawMessage) (paging, error) {
		page, err := parseList[extensionDoc](raw)
		docs = append(docs, page...)
		return parsePaging(raw), err
	})
	return docs, err
}

// configured is the set as the configuration gives it: presence names extensions by number and id, so calls are found
// also where the lists can't be read.
func configured(agents []string) agentSet {
	set := agentSet{numbers: map[string]bool{}, ids: map[string]bool{}, known: map[string]Agent{}, queues: map[string]string{}, devices: map[string]bool{}, groups: map[string][]string{}}
	for _, a := range agents {
		set.numbers[a], set.ids[a] = true, true
	}
	return set
}

// resolve checks the configured agents against the account's extensions; unknown ones are given back.
func (set agentSet) resolve(agents []string, extensions []extensionDoc) (unknown []string) {
	for _, a := range agents {
		found := false
		for _, byNumber := range []bool{true, false} { // an extension number comes before an id that looks the same
			for _, e := range extensions {
				if found || (byNumber && string(e.Number) != a) || (!byNumber && string(e.ID) != a) {
					continue
				}
				found = true
				delete(set.numbers, a)
				delete(set.ids, a)
				set.add(e)
			}
		}
		if !found {
			unknown = append(unknown, a)
		}
	}
	return unknown
}

// add makes an extension an agent.
func (set agentSet) add(e extensionDoc) {
	id := string(e.ID)
	set.ids[id] = true
	a := set.known[id]
	a.ID = id
	if e.Number != "" {
		a.Extension = string(e.Number)
	}
	if e.Name != "" {
		a.Name = string(e.Name)
	}
	set.known[id] = a
}

// keep takes over what an older set knew of the configured agents and of the account.
func (set agentSet) keep(old agentSet, agents []string) {
	for id, a := range old.known {
		if slices.Contains(agents, a.Extension) || slices.Contains(agents, id) {
			set.ids[id], set.known[id] = true, a
		}
	}
	maps.Copy(set.queues, old.queues)
	maps.Copy(set.devices, old.devices)
}

// machineTypes are the extension types behind which nobody talks. Unknown types count as people.
var machineTypes = []string{"Department", "IvrMenu", "Announcement", "Voicemail", "ParkLocation", "PagingOnly", "SharedLinesGroup",
	"DelegatedLinesGroup", "GroupCallPickup", "ApplicationExtension", "Site"} //nolint:gochecknoglobals // constant

const queueType = "Department" // a call queue

// learn keeps what the account's extensions are.
func (set agentSet) learn(extensions []extensionDoc) {
	for _, e := range extensions {
		if slices.Contains(machineTypes, string(e.Type)) {
			set.devices[string(e.ID)] = true
		}
		if string(e.Type) == queueType {
			set.queues[string(e.ID)] = string(e.Number)
		}
		if a, ok := set.known[string(e.ID)]; ok && a.Name == "" {
			set.add(e)
		}
	}
}

// may says whether a member has a permission, Monitored or Monitoring. A member may carry both, in any order, and older
// documents write "Monitored - User".
func (d extensionDoc) may(permission string) bool {
	for _, p := range d.Permissions {
		if len(p) >= len(permission) && strings.EqualFold(string(p[:len(permission)]), permission) {
			return true
		}
	}
	return false
}

// refreshAgents builds the set of agents anew and puts it in place. What can't be read leaves the set as it was, or as
// configured.
func (s *Supervisor) refreshAgents(ctx context.Context) (failed error) {
	agents, groups := s.configuredAgents()
	set := configured(agents)
	if len(groups) > 0 {
		err := s.addGroups(ctx, set, groups)
		failed = err
		s.failing("groups", err)
		if err != nil {
			s.mu.Lock()
			maps.Copy(set.groups, s.core.agents.groups)
			for id := range s.core.agents.ids {
				set.ids[id] = true
				if a, ok := s.core.agents.known[id]; ok {
					set.known[id] = a
				}
			}
			s.mu.Unlock()
		}
	}
	if len(agents)+len(groups) > 0 {
		extensions, err := s.lead().list(ctx, opExtensions, nil)
		failed = errors.Join(failed, err)
		s.failing("agents", err)
		if err == nil {
			for _, a := range set.resolve(agents, extensions) {
				s.log.say(slog.LevelWarn, "agent unknown "+a, "agent unknown", slog.String("agent", a),
					slog.String("hint", "the account has no extension with that number or id: see supervise.agents"))
			}
			set.learn(extensions)
		} else {
			s.mu.Lock()
			set.keep(s.core.agents, agents)
			s.mu.Unlock()
		}
	}
	s.change(func(now time.Time) { s.core.setAgents(now, set) })
	s.refilter()
	return failed
}

// addGroups adds the monitored members of the configured groups.
func (s *Supervisor) addGroups(ctx context.Context, set agentSet, wanted []string) error {
	groups, err := s.lead().list(ctx, opGroups, nil)
	if err != nil {
		return err
	}
	for _, want := range wanted {
		found := false
		for _, g := range groups {
			if string(g.ID) != want && !strings.EqualFold(string(g.Name), want) {
				continue
			}
			found = true
			members, err := s.lead().list(ctx, opMembers, nil, string(g.ID))
			if err != nil {
				return err
			}
			for _, m := range members {
				if m.may("Monitored") && m.ID != "" {
					set.add(m)
					set.groups[string(m.ID)] = append(set.groups[string(m.ID)], string(g.ID), string(g.Name))
				}
			}
		}
		if !found {
			s.log.say(slog.LevelWarn, "group unknown "+want, "group unknown", slog.String("group", want),
				slog.String("hint", "no call monitoring group of the account has that id or name: see supervise.groups"))
		}
	}
	return nil
}
