package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Account is one login that looks at RingCentral and asks for nothing else: no call is joined, no device registered. It is
// a daemon's own login, of which [Supervisor.Accounts] tells, or one for a command that runs alone. All methods are safe for
// concurrent use.
//
// An answer of the last seconds serves all who ask. Beside a daemon the request budget is the joins': a new answer is asked
// for only while less than 40 percent of a group's budget are used; else an older one is given, with its time.
type Account struct {
	// Set by newAccount, then constant.
	cfg    Config
	login  Login
	client *client
	daemon *Supervisor // nil: the login is this Account's own

	mu    sync.Mutex // guards known and what it holds, but for answer.turn
	known map[string]*answer
}

const (
	// answerFresh is how long one answer serves all who ask.
	answerFresh = 5 * time.Second
	// answerKept is the age up to which an answer is given where the budget forbids a new one.
	answerKept = 10 * time.Minute
	// aloneShare and alonePatience are for a login that nobody else uses.
	aloneShare    = shareAll
	alonePatience = 90 * time.Second
)

// answer is the newest of one question.
type answer struct {
	turn  chan struct{} // size 1: held while asking
	value any
	err   error
	at    time.Time
	spare any       // what the daemon saw by itself, for when the budget forbids to ask
	seen  time.Time // when
}

// NewAccounts checks the configuration and gives an Account for each of its logins. It opens nothing: the first question
// logs in, and Close ends the login.
func NewAccounts(cfg Config) ([]*Account, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	accounts := make([]*Account, len(cfg.Logins))
	for i, l := range cfg.Logins {
		one := cfg
		one.JWT = l.JWT
		accounts[i] = newAccount(cfg, l, newClient(one), nil)
	}
	return accounts, nil
}

func newAccount(cfg Config, l Login, c *client, daemon *Supervisor) *Account {
	return &Account{cfg: cfg, login: l, client: c, daemon: daemon, known: map[string]*answer{}}
}

// Accounts are the logins of the Supervisor, for those who only look. They share its tokens and its request budgets.
func (s *Supervisor) Accounts() []*Account { return s.askers }

// Close revokes the login, if it is the Account's own. Safe twice.
func (a *Account) Close() error {
	if a.daemon != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	a.client.auth.end(ctx)
	a.client.close()
	return nil
}

// request fills in what a look may use of the budget.
func (a *Account) request(o op, ids ...string) request {
	if a.daemon != nil {
		return request{op: o, ids: ids, share: shareAsk}
	}
	return request{op: o, ids: ids, share: aloneShare, patience: alonePatience}
}

// ask gives the answer to a question, a new one or one that is still good, and when it was asked for.
func ask[T any](ctx context.Context, a *Account, question string, load func(context.Context) (T, error)) (T, time.Time, error) {
	a.mu.Lock()
	known := a.known[question]
	if known == nil {
		known = &answer{turn: make(chan struct{}, 1)}
		a.known[question] = known
	}
	a.mu.Unlock()
	var none T
	select {
	case known.turn <- struct{}{}:
		defer func() { <-known.turn }()
	case <-ctx.Done():
		return none, time.Time{}, fmt.Errorf("%s: %w", question, context.Cause(ctx))
	}
	now := time.Now()
	if value, ok := known.value.(T); ok && now.Sub(known.at) < answerFresh {
		return value, known.at, known.err
	}
	value, err := load(ctx)
	if _, busy := errors.AsType[*busyError](err); busy {
		if old, at, ok := newest[T](known); ok && now.Sub(at) < answerKept {
			return old, at, nil
		}
	}
	if ctx.Err() == nil { // the end of one asker is no answer for the next
		known.value, known.err, known.at = value, err, now
	}
	return value, now, err
}

// newest gives the newest good answer there is.
func newest[T any](a *answer) (value T, at time.Time, ok bool) {
	if a.err == nil {
		value, ok = a.value.(T)
		at = a.at
	}
	if spare, is := a.spare.(T); is && (!ok || a.seen.After(at)) {
		return spare, a.seen, true
	}
	return value, at, ok
}

// keep takes an answer that somebody else has paid for; while one is being asked for it is not needed.
func (a *Account) keep(question string, value any, at time.Time) {
	a.mu.Lock()
	known := a.known[question]
	if known == nil {
		known = &answer{turn: make(chan struct{}, 1)}
		a.known[question] = known
	}
	a.mu.Unlock()
	select {
	case known.turn <- struct{}{}:
		known.spare, known.seen = value, at
		<-known.turn
	default:
	}
}

// shown gives what a look of the daemon showed to those who ask for calls.
func (s *Supervisor) shown(by *client, records []presenceRecord, taken time.Time) {
	for i, l := range s.logins {
		if l.client == by {
			s.askers[i].keep("calls", accountCalls(records), taken)
		}
	}
}

// readList reads every page of a list.
func readList[T any](ctx context.Context, a *Account, r request) ([]T, error) {
	var all []T
	_, err := a.client.pages(ctx, r, func(raw json.RawMessage) (paging, error) {
		page, err := parseList[T](raw)
		all = append(all, page...)
		return parsePaging(raw), err
	})
	return all, err
}

// Person is an extension, or somebody outside.
type Person struct {
	ID        string `json:"id,omitempty"`        // extension id; empty outside the account
	Extension string `json:"extension,omitempty"` // short number
	Name      string `json:"name,omitempty"`
	Number    string `json:"number,omitempty"`
}

// Owner is the user who is logged in.
func (a *Account) Owner(ctx context.Context) (Person, error) {
	p, _, err := ask(ctx, a, "owner", func(ctx context.Context) (Person, error) {
		var d extensionDoc
		if err := a.client.do(ctx, a.request(opOwnExtension), &d); err != nil {
			return Person{}, err
		}
		if d.ID == "" {
			return Person{}, fmt.Errorf("%s: answer: got no id", opOwnExtension)
		}
		return Person{ID: string(d.ID), Extension: string(d.Number), Name: clean(string(d.Name))}, nil
	})
	return p, err
}

// Devices are the devices of the login's user.
func (a *Account) Devices(ctx context.Context) ([]Device, time.Time, error) {
	return ask(ctx, a, "devices", func(ctx context.Context) ([]Device, error) {
		all := []Device{}
		_, err := a.client.pages(ctx, a.request(opDevices), func(raw json.RawMessage) (paging, error) {
			devices, err := parseDevices(raw)
			all = append(all, devices...)
			return parsePaging(raw), err
		})
		return all, err
	})
}
