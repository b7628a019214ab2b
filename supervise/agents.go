package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
)

// extensionDoc is one extension of the account, one group, or one member of a group: they share these fields.
type extensionDoc struct {
	ID          text       `json:"id"`
	Number      text       `json:"extensionNumber"`
	Name        text       `json:"name"`
	Permissions list[text] `json:"permissions"` // members only; an object for extensions
}

// all reads every page of a list.
func (s *Supervisor) all(ctx context.Context, o op, ids ...string) ([]extensionDoc, error) {
	var docs []extensionDoc
	_, err := s.client.pages(ctx, request{op: o, ids: ids, share: shareLook, patience: setupPatience}, func(raw json.RawMessage) (paging, error) {
		page, err := parseList[extensionDoc](raw)
		docs = append(docs, page...)
		return parsePaging(raw), err
	})
	return docs, err
}

// configured is the set as the configuration gives it: presence names extensions by number and id, so calls are found
// also where the lists can't be read.
func configured(agents []string) agentSet {
	set := agentSet{numbers: map[string]bool{}, ids: map[string]bool{}, names: map[string]string{}}
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
				set.ids[string(e.ID)] = true
				set.names[string(e.ID)] = string(e.Name)
			}
		}
		if !found {
			unknown = append(unknown, a)
		}
	}
	return unknown
}

// monitored says whether a member may be listened to. A member may carry both permissions, in any order, and older
// documents write "Monitored - User".
func (d extensionDoc) monitored() bool {
	for _, p := range d.Permissions {
		if len(p) >= len("Monitored") && strings.EqualFold(string(p[:len("Monitored")]), "Monitored") {
			return true
		}
	}
	return false
}

// refreshAgents builds the set of agents anew and puts it in place. What can't be read leaves the set as it was, or as
// configured.
func (s *Supervisor) refreshAgents(ctx context.Context) (failed error) {
	set := configured(s.cfg.Agents)
	if len(s.cfg.Agents) > 0 {
		extensions, err := s.all(ctx, opExtensions)
		failed = err
		s.failing("agents", err)
		if err == nil {
			for _, a := range set.resolve(s.cfg.Agents, extensions) {
				s.log.say(slog.LevelWarn, "agent unknown "+a, "agent unknown", slog.String("agent", a),
					slog.String("hint", "the account has no extension with that number or id: see supervise.agents"))
			}
		}
	}
	if len(s.cfg.Groups) > 0 {
		err := s.addGroups(ctx, set)
		failed = errors.Join(failed, err)
		s.failing("groups", err)
		if err != nil {
			s.mu.Lock()
			for id := range s.agents.ids {
				set.ids[id] = true
			}
			s.mu.Unlock()
		}
	}
	s.mu.Lock()
	s.agents = set
	s.mu.Unlock()
	return failed
}

// addGroups adds the monitored members of the configured groups.
func (s *Supervisor) addGroups(ctx context.Context, set agentSet) error {
	groups, err := s.all(ctx, opGroups)
	if err != nil {
		return err
	}
	for _, want := range s.cfg.Groups {
		found := false
		for _, g := range groups {
			if string(g.ID) != want && !strings.EqualFold(string(g.Name), want) {
				continue
			}
			found = true
			members, err := s.all(ctx, opMembers, string(g.ID))
			if err != nil {
				return err
			}
			for _, m := range members {
				if m.monitored() && m.ID != "" {
					set.ids[string(m.ID)] = true
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
