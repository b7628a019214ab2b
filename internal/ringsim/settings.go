package ringsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Configure applies a scenario's settings to a configuration, before New.
func (sc *Scenario) Configure(cfg *Config) error {
	for _, s := range sc.set {
		if err := configure(cfg, s.key, s.value); err != nil {
			return fmt.Errorf("scenario: line %d: %w", s.line, err)
		}
	}
	return nil
}

// settings are the keys that a scenario may set.
var settings = map[string]func(*Config, string) error{
	"agents":              func(c *Config, v string) error { return whole(v, &c.Agents) },
	"supervisors":         func(c *Config, v string) error { return whole(v, &c.Supervisors) },
	"devices":             func(c *Config, v string) error { return whole(v, &c.Devices) },
	"groups":              func(c *Config, v string) error { return whole(v, &c.Groups) },
	"without_scopes":      func(c *Config, v string) error { return list(v, &c.NoScopes) },
	"without_permissions": func(c *Config, v string) error { return list(v, &c.NoPermissions) },
	"leak":                func(c *Config, v string) error { return real0(v, &c.Leak, maxLeak) },
	"random_codes": func(c *Config, v string) (err error) {
		c.Switches.RandomCodes, err = strconv.ParseUint(v, 10, 64)
		return err
	},
	"random_status": func(c *Config, v string) error { return truth(v, &c.Switches.RandomStatus) },
	"limit_auth":    func(c *Config, v string) error { return whole(v, &c.Limits.Auth) },
	"limit_heavy":   func(c *Config, v string) error { return whole(v, &c.Limits.Heavy) },
	"limit_medium":  func(c *Config, v string) error { return whole(v, &c.Limits.Medium) },
	"limit_light":   func(c *Config, v string) error { return whole(v, &c.Limits.Light) },
	"legacy_body": func(c *Config, v string) error {
		return word(v, (*string)(&c.Switches.LegacyBody), "session", "never", "only")
	},
	"session_first":    func(c *Config, v string) error { return truth(v, &c.Switches.SessionFirst) },
	"foreign_line_ids": func(c *Config, v string) error { return truth(v, &c.Switches.ForeignLineIDs) },
	"active_calls_lag": func(c *Config, v string) error { return delay(v, &c.Switches.ActiveCallsLag) },
	"ended_linger":     func(c *Config, v string) error { return delay(v, &c.Switches.EndedLinger) },
	"seed":             func(c *Config, v string) (err error) { c.Seed, err = strconv.ParseUint(v, 10, 64); return err },
	"form": func(c *Config, v string) error {
		return word(v, (*string)(&c.Form), "two_dialogs", "two_lines", "mixed")
	},
	"hold": func(c *Config, v string) error {
		return word(v, (*string)(&c.Switches.HoldMedia), "silence", "music", "pause", "inactive", "sendonly")
	},
	"limits":             func(c *Config, v string) error { return opposite(v, &c.Limits.Off) },
	"keep_dialogs":       func(c *Config, v string) error { return truth(v, &c.Switches.KeepDialogs) },
	"lose_byes":          func(c *Config, v string) error { return truth(v, &c.Switches.LoseByes) },
	"invite_first":       func(c *Config, v string) error { return truth(v, &c.Switches.InviteFirst) },
	"reverse_invites":    func(c *Config, v string) error { return truth(v, &c.Switches.ReverseInvites) },
	"refuse_twice":       func(c *Config, v string) error { return truth(v, &c.Switches.RefuseTwice) },
	"invite_delay":       func(c *Config, v string) error { return delay(v, &c.Switches.InviteDelay) },
	"dialogs_per_device": func(c *Config, v string) error { return whole(v, &c.Switches.DialogsPerDevice) },
	"access_ttl":         func(c *Config, v string) error { return delay(v, &c.Switches.AccessTTL) },
	"feed":               func(c *Config, v string) error { return opposite(v, &c.Switches.Feed.Off) },
	"feed_speed":         func(c *Config, v string) error { return real0(v, &c.Switches.Feed.Speed, 1e6) },
	"feed_filters":       func(c *Config, v string) error { return whole(v, &c.Switches.Feed.MaxFilters) },
	"feed_refuse":        func(c *Config, v string) error { return truth(v, &c.Switches.Feed.RefuseFilters) },
	"feed_recovery":      func(c *Config, v string) error { return opposite(v, &c.Switches.Feed.NoRecovery) },
	"feed_error_first":   func(c *Config, v string) error { return opposite(v, &c.Switches.Feed.Handshake401) },
	"feed_token_ttl":     func(c *Config, v string) error { return delay(v, &c.Switches.Feed.TokenTTL) },
	"feed_reuse_tokens":  func(c *Config, v string) error { return truth(v, &c.Switches.Feed.ReuseTokens) },
	"event_delay":        func(c *Config, v string) error { return delay(v, &c.Switches.Feed.Delay) },
	"event_reorder":      func(c *Config, v string) error { return real0(v, &c.Switches.Feed.Reorder, 1) },
	"event_duplicate":    func(c *Config, v string) error { return real0(v, &c.Switches.Feed.Duplicate, 1) },
	"event_loss":         func(c *Config, v string) error { return real0(v, &c.Switches.Feed.Loss, 1) },
	"event_overlap":      func(c *Config, v string) error { return truth(v, &c.Switches.Feed.Overlap) },
}

func configure(cfg *Config, key, value string) error {
	set := settings[key]
	if set == nil {
		names := make([]string, 0, len(settings))
		for k := range settings {
			names = append(names, k)
		}
		slices.Sort(names)
		return fmt.Errorf("%s: unknown; want one of %s", key, strings.Join(names, ", "))
	}
	if err := set(cfg, value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// maxLeak is the least that can be told from nothing in 8 bits.
const maxLeak = 60

// list reads words, separated by spaces.
func list(v string, to *[]string) error {
	if *to = strings.Fields(v); len(*to) == 0 {
		return fmt.Errorf("%q: want words, separated by spaces", v)
	}
	return nil
}

func whole(v string, to *int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 100_000 {
		return fmt.Errorf("%q: want a number", v)
	}
	*to = n
	return nil
}

func word(v string, to *string, legal ...string) error {
	if !slices.Contains(legal, v) {
		return fmt.Errorf("%q: want %s", v, strings.Join(legal, ", "))
	}
	*to = v
	return nil
}

// truth reads on and off; opposite is for fields that say "not".
func truth(v string, to *bool) error {
	switch v {
	case "on", "true":
		*to = true
	case "off", "false":
		*to = false
	default:
		return fmt.Errorf("%q: want on or off", v)
	}
	return nil
}

func opposite(v string, to *bool) error {
	var on bool
	if err := truth(v, &on); err != nil {
		return err
	}
	*to = !on
	return nil
}

// delay reads a time; 0 is none, which the Config says by a negative one.
func delay(v string, to *time.Duration) error {
	d, err := span(map[string]string{"": v}, "")
	if err != nil || v == "" {
		return fmt.Errorf("%q: want a time such as 80ms", v)
	}
	if *to = d; d == 0 {
		*to = -1
	}
	return nil
}

func real0(v string, to *float64, most float64) error {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0 && f <= most) {
		return fmt.Errorf("%q: want a number from 0 to %g", v, most)
	}
	*to = f
	return nil
}
