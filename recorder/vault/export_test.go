package vault

import (
	"net/http"
	"time"
)

// Quick has waits and deadlines that suit a test.
func (c Config) Quick(retry, patience time.Duration) Config {
	c.limits = limits{dial: patience, idle: patience, answer: patience, grace: 10 * patience, retry: retry}
	return c
}

// Through puts something between the client and the network.
func (c Config) Through(f func(http.RoundTripper) http.RoundTripper) Config {
	c.transport = f
	return c
}
