package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/internal/secret"
)

// Login is one supervisor of the pool: a RingCentral user with devices of its own.
type Login struct {
	// JWT names the user, who must own the devices.
	JWT secret.Text
	// Devices are those that calls are heard on; none means the user's only OtherPhone.
	Devices []LoginDevice
	// Groups are the call monitoring groups, by id or name, whose agents this supervisor may listen to. Empty means those
	// that RingCentral shows.
	Groups []string
}

// LoginDevice is one device of a supervisor.
type LoginDevice struct {
	// ID is RingCentral's; empty means the user's only OtherPhone.
	ID string
	// MaxDialogs is how many dialogs it takes at once, see Config.MaxDialogs.
	MaxDialogs int
	// Registered says whether it is registered; see Config.Registered.
	Registered func() bool
}

// pool makes the long form of the short one, and looks for mistakes.
func (c *Config) pool(bad func(key, format string, args ...any)) {
	short := len(c.Logins) == 0
	if short {
		c.Logins = []Login{{JWT: c.JWT, Devices: []LoginDevice{{ID: c.DeviceID, MaxDialogs: c.MaxDialogs, Registered: c.Registered}}}}
	}
	c.Logins = slices.Clone(c.Logins)
	seen := map[string]bool{}
	for i := range c.Logins {
		l := &c.Logins[i]
		key := ""
		if !short {
			key = fmt.Sprintf("logins[%d].", i)
		}
		if l.JWT == "" {
			bad(key+"jwt", "got none, want the supervisor's JWT credential")
		}
		if l.Devices = slices.Clone(l.Devices); len(l.Devices) == 0 {
			l.Devices = []LoginDevice{{}}
		}
		for k := range l.Devices {
			d := &l.Devices[k]
			if d.MaxDialogs < 0 {
				bad(key+"max_dialogs", "got %d, want 0 or more", d.MaxDialogs)
			}
			if d.Registered == nil {
				d.Registered = func() bool { return true }
			}
			if (d.ID == "" && len(l.Devices) > 1) || (d.ID != "" && seen[d.ID]) {
				bad(key+"devices", "got device %q twice or without an id, want ids that differ", d.ID)
			}
			seen[d.ID] = true
		}
	}
}

// poolLogin is a login at work.
type poolLogin struct {
	// Set by New, then constant.
	client *client
	groups []string
	many   bool // there are others too

	// Supervisor.mu guards the fields below.
	own      string // the user's extension id; empty: not known yet
	number   string
	coversAt time.Time // when its groups were read
}

// poolDevice is a device at work.
type poolDevice struct {
	// Set by New, then constant.
	login int
	cfg   LoginDevice

	// Supervisor.mu guards the fields below.
	device Device // as last looked at; zero before
}

// enter makes the pool of the configuration.
func (s *Supervisor) enter(cfg Config) {
	var logins, dialogs []int
	for i, l := range cfg.Logins {
		one := cfg
		one.JWT = l.JWT
		if i > 0 && one.HTTP == nil {
			one.HTTP = s.logins[0].client.http // connections are shared
		}
		s.logins = append(s.logins, &poolLogin{client: newClient(one), groups: slices.Clone(l.Groups), many: len(cfg.Logins) > 1})
		for _, d := range l.Devices {
			s.devices = append(s.devices, &poolDevice{login: i, cfg: d})
			logins, dialogs = append(logins, i), append(dialogs, d.MaxDialogs)
		}
	}
	s.core.equip(logins, dialogs)
}

// lead is the login that looks at the account: its events, presence and lists.
func (s *Supervisor) lead() *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins[s.leader].client
}

// nextLead has another login look at the account, where there is one: this one's can't.
func (s *Supervisor) nextLead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = (s.leader + 1) % len(s.logins)
}

// reader is the login that reads a session: of those that may listen to its agent the one with the most requests left.
func (s *Supervisor) reader(session string) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	var agent Agent
	if c := s.core.sessions[session]; c != nil {
		agent = c.agent
	}
	now := time.Now()
	var best *client
	least, most := uncovered, 0
	for i, l := range s.logins {
		cover := s.core.coverage(&device{login: i}, agent)
		if left := l.client.limits.left(groupLight, shareLook, now); best == nil || cover < least || cover == least && left > most {
			best, least, most = l.client, cover, left
		}
	}
	return best
}

// registered tells of each device whether it is registered. It must be called without s.mu.
func (s *Supervisor) registered() []bool {
	out := make([]bool, len(s.devices))
	for i, d := range s.devices {
		out[i] = d.cfg.Registered()
	}
	return out
}

// Pool is how many devices there are. Where a method takes a device, it is its place in the pool: those of the first
// login first, from 0 on.
func (s *Supervisor) Pool() int { return len(s.devices) }

// Device is that device of the pool with its newest status. Where none can be chosen, the error is an ErrNoDevice that lists
// the candidates.
func (s *Supervisor) Device(ctx context.Context, device int) (Device, error) {
	if err := s.refreshDevices(ctx, s.devices[device].login); err != nil {
		return Device{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.devices[device].device, nil
}

// refreshDevices reads what RingCentral knows of a login's devices.
func (s *Supervisor) refreshDevices(ctx context.Context, login int) error {
	devices, err := s.logins[login].client.devices(ctx)
	if err != nil {
		return err
	}
	var errs []error
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.login != login {
			continue
		}
		found, err := chooseDevice(devices, d.cfg.ID)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.device = found
		if l := s.logins[login]; l.own != found.ExtensionID {
			l.own, l.number = found.ExtensionID, found.Extension
			s.core.own = nil
			for _, l := range s.logins {
				if l.own != "" {
					s.core.own = append(s.core.own, l.own)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// checkDevices looks at a login's devices, and warns of one that RingCentral does not think registered although we are.
func (s *Supervisor) checkDevices(ctx context.Context, login int) error {
	before := s.registered() // before we ask: what RingCentral says may be older than our registration
	err := s.refreshDevices(ctx, login)
	s.failing(s.label("device", login), err)
	if err != nil {
		return err
	}
	after := s.registered()
	s.mu.Lock()
	var offline []Device
	for i, d := range s.devices {
		if d.login == login && before[i] && after[i] && d.device.Status != "" && d.device.Status != "Online" {
			offline = append(offline, d.device)
		}
	}
	s.mu.Unlock()
	for _, d := range offline {
		s.log.say(slog.LevelWarn, "device offline "+d.ID, "device offline", slog.String("device", d.ID), slog.String("reason", d.Status),
			slog.String("hint", "RingCentral does not show device "+d.ID+" as Online: is it this device that registers?"))
	}
	return nil
}

// each does something for all logins at the same time, and waits for it.
func (s *Supervisor) each(do func(login int) error) error {
	errs := make([]error, len(s.logins))
	var group sync.WaitGroup
	for i := range s.logins {
		group.Go(func() { errs[i] = do(i) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// label names what concerns one login, where there are several.
func (s *Supervisor) label(what string, login int) string {
	if len(s.logins) == 1 {
		return what
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.logins[login].number; n != "" {
		return what + " of supervisor " + n
	}
	return fmt.Sprintf("%s of supervisor %d", what, login+1)
}

// refreshCoverage reads whom a login may listen to. Of a single login that is not asked: there is no choice.
func (s *Supervisor) refreshCoverage(ctx context.Context, login int) error {
	l := s.logins[login]
	if !l.many {
		return nil
	}
	s.mu.Lock()
	own := l.own
	s.mu.Unlock()
	covers, err := l.client.covers(ctx, own, l.groups)
	s.failing(s.label("groups", login), err)
	if err == nil {
		s.change(func(time.Time) { s.core.cover(login, covers) })
	}
	return err
}

// covers gives the ids of the extensions that a supervisor may listen to: the monitored members of the groups that are
// named, or of those in which own has the right to monitor.
func (c *client) covers(ctx context.Context, own string, named []string) (map[string]bool, error) {
	var query url.Values
	if own != "" && len(named) == 0 {
		query = url.Values{"memberExtensionId": {own}}
	}
	groups, err := c.list(ctx, opGroups, query)
	if err != nil {
		return nil, err
	}
	covers := map[string]bool{}
	for _, g := range groups {
		if len(named) > 0 && !slices.ContainsFunc(named, func(n string) bool { return string(g.ID) == n || strings.EqualFold(string(g.Name), n) }) {
			continue
		}
		members, err := c.list(ctx, opMembers, nil, string(g.ID))
		if err != nil {
			return nil, err
		}
		monitors := len(named) > 0
		for _, m := range members {
			monitors = monitors || string(m.ID) == own && m.may("Monitoring")
		}
		for _, m := range members {
			if monitors && m.ID != "" && string(m.ID) != own && m.may("Monitored") {
				covers[string(m.ID)] = true
			}
		}
	}
	return covers, nil
}

// end revokes all logins.
func (s *Supervisor) end(ctx context.Context) {
	var group sync.WaitGroup
	for _, l := range s.logins {
		group.Go(func() { l.client.auth.end(ctx) })
	}
	group.Wait()
	for _, l := range s.logins {
		l.client.close()
	}
}
