package stream

import (
	"fmt"
	"slices"
	"strings"

	"github.com/earshot/earshot/call"
)

// roles are whose tracks a consumer may choose.
var roles = []string{call.RoleAgent.String(), call.RoleCustomer.String(), call.RoleOther.String()} //nolint:gochecknoglobals // constant

// checkChoice looks at what the consumer chooses.
func (c *Consumer) checkChoice() error {
	for _, r := range c.Roles {
		if !slices.Contains(roles, r) {
			return fmt.Errorf("roles: got %q, want %s", r, strings.Join(roles, ", "))
		}
	}
	if len(c.Roles) > 0 && c.Per == PerCall {
		return fmt.Errorf("roles: want per: %s: a stream per call has everybody in it", PerTrack)
	}
	return nil
}

// wants tells whether the consumer is for a call: of one of its agents, or of an agent in one of its groups.
func (c *Consumer) wants(info *call.Info) bool {
	if len(c.Agents)+len(c.Groups) == 0 {
		return true
	}
	agent := func(a string) bool { return a != "" && (a == info.Agent || a == info.AgentID) }
	group := func(g string) bool {
		return slices.ContainsFunc(info.Groups, func(of string) bool { return strings.EqualFold(g, of) })
	}
	return slices.ContainsFunc(c.Agents, agent) || slices.ContainsFunc(c.Groups, group)
}

// hears tells whether the consumer is for a party's track.
func (c *Consumer) hears(p *call.Party) bool {
	return len(c.Roles) == 0 || slices.Contains(c.Roles, p.Role.String())
}

// chosen gives the consumers that a call is for.
func chosen(all []Consumer, info *call.Info) (out []Consumer) {
	for i := range all {
		if all[i].wants(info) {
			out = append(out, all[i])
		}
	}
	return out
}
