package supervise

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"sort"
	"strings"
)

const (
	// maxFilters is the most agents that have a filter each; beyond, the account's filter brings all calls.
	maxFilters     = 100
	filterPath     = "/restapi/v1.0/account/~/"
	filterSessions = "telephony/sessions"
	// tooManyFilters is RingCentral's code for a subscription with more filters than it takes.
	tooManyFilters = "SUB-505"
)

// form says which filters the subscription has.
type form uint8

const (
	formByNumber form = iota // one for each agent, or the account's where these were too many
	formAccount              // the account's: RingCentral found one for each too many
	formAgents               // one for each agent: RingCentral refused the account's
)

// filters are what is to be subscribed; account says that they bring the whole account's calls.
func (s *Supervisor) filters(f form) (filters []string, account bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	agents := s.core.watched()
	ids := make([]string, 0, len(agents.known))
	for id := range agents.known {
		if agents.ids[id] {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, false
	}
	if f == formAccount || f == formByNumber && len(ids) > maxFilters {
		return []string{filterPath + filterSessions}, true
	}
	for _, own := range s.core.own {
		if !slices.Contains(ids, own) {
			ids = append(ids, own) // it shows our own parties: a join is confirmed without a look
		}
	}
	sort.Strings(ids)
	for _, id := range ids {
		filters = append(filters, filterPath+"extension/"+url.PathEscape(id)+"/"+filterSessions)
	}
	return filters, false
}

// subscribe makes the connection's subscription in a form that RingCentral takes: where it finds the agents' filters too many
// the account's, where it refuses the account's the agents'. What it settled on stays.
func (f *feed) subscribe(ctx context.Context, l *link) error {
	filters, account := f.s.filters(f.form)
	err := l.subscribe(ctx, filters, account)
	other := formAgents
	if !account {
		other = formAccount
	}
	if f.form != formByNumber || !f.misfit(l, account, err) {
		return err
	}
	f.form = other
	f.s.cfg.Log.Info("event filters changed", slog.Bool("account", !account), slog.String("reason", misfitText(l, err)))
	filters, account = f.s.filters(f.form)
	return l.subscribe(ctx, filters, account)
}

// misfit says whether the answer to a subscription speaks against its form.
func (f *feed) misfit(l *link, account bool, err error) bool {
	e, ok := errors.AsType[*APIError](err)
	switch {
	case err != nil && !ok:
		return false // the connection, not RingCentral
	case ok && account:
		return e.Status == 400 || e.Status == 403
	case ok:
		return e.Code == tooManyFilters
	case account:
		return len(l.disabled) > 0
	}
	return slices.ContainsFunc(l.disabled, func(d disabledFilter) bool { return strings.Contains(d.String(), tooManyFilters) })
}

func misfitText(l *link, err error) string {
	if err != nil {
		return err.Error()
	}
	return l.disabled[0].String()
}
