package endpoint

import "github.com/earshot/earshot/supervise"

// Accounts are the RingCentral logins of the supervisors, for those who only look; none without RingCentral.
func (e *Endpoint) Accounts() []*supervise.Account {
	var out []*supervise.Account
	for _, p := range e.pools {
		out = append(out, p.sup.Accounts()...)
	}
	return out
}
