package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/supervise"
)

// reports is the answer to `earshot calls`, devices and groups: of the daemon over its socket, and of --json.
type reports struct {
	Logins []supervise.Report `json:"logins"`
}

// askCheck is doctor's question.
const askCheck = "check"

// Account answers the control socket with what the daemon's own logins see.
func (b backend) Account(ctx context.Context, question string, params url.Values) (any, error) {
	accounts := b.ep.Accounts()
	if question != askCheck && len(accounts) == 0 {
		return nil, errNoLogin
	}
	if question != askCheck {
		return reports{supervise.Reports(ctx, accounts, question)}, nil
	}
	o := supervise.CheckOptions{AuthorizationID: params.Get("sip")}
	for name, to := range map[string]any{"peak": &o.Load.PeakCalls, "per_second": &o.Load.CallsPerSecond} {
		if v := params.Get(name); v != "" {
			if _, err := fmt.Sscan(v, to); err != nil {
				return nil, fmt.Errorf("%s: %q: want a number", name, v)
			}
		}
	}
	findings, agents := supervise.Check(ctx, accounts, o)
	return checks{Agents: agents, Findings: findings}, nil
}

var errNoLogin = errors.New("no RingCentral login is configured")

// askAccount has a question answered: by the daemon of this configuration where one runs, whose login it is then; else by a
// login of our own, which is revoked afterwards. Nothing is registered.
func askAccount(ctx context.Context, c *cli, p *process, question string) (reports, error) {
	l, err := config.Peek(c.input(p))
	if err != nil {
		return reports{}, err
	}
	cl, err := console.Dial(ctx, l.Config.SocketPath())
	if err == nil {
		defer cl.Close() //nolint:errcheck // idle connections only
		raw, err := cl.Account(ctx, question, nil)
		if err != nil {
			return reports{}, err
		}
		var r reports
		if err := json.Unmarshal(raw, &r); err != nil {
			return reports{}, fmt.Errorf("%s: answer of the daemon: %w", question, err)
		}
		return r, nil
	}
	if _, ok := errors.AsType[*console.NotRunningError](err); !ok {
		return reports{}, err
	}
	accounts, err := openAccounts(l.Config)
	if err != nil {
		return reports{}, err
	}
	defer closeAccounts(accounts)
	return reports{supervise.Reports(ctx, accounts, question)}, ctx.Err()
}

// openAccounts makes the configured logins, for looking only.
func openAccounts(c config.Config) ([]*supervise.Account, error) {
	if !c.HasRingCentral() {
		return nil, &usageError{err: errNoLogin,
			hint: "set ringcentral.client_id, client_secret and jwt, or RINGCENTRAL_CLIENT_ID and its like; `earshot init` does it with you"}
	}
	version, _ := buildVersion()
	accounts, err := supervise.NewAccounts(superviseConfig(c, version))
	if err != nil {
		return nil, &usageError{err: err}
	}
	return accounts, nil
}

func closeAccounts(accounts []*supervise.Account) {
	for _, a := range accounts {
		_ = a.Close() // what can't be revoked ends by itself
	}
}
