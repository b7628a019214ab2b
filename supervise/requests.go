package supervise

import (
	"net/http"
	"sync/atomic"
)

// The classes that requests are counted by.
const (
	classOK = iota
	classClient
	classLimited
	classServer
	classError
	classes
)

var classNames = [classes]string{"2xx", "4xx", "429", "5xx", "error"} //nolint:gochecknoglobals // constant

// requestCounts counts requests by what became of them.
type requestCounts [classes]atomic.Int64

// note counts an answer by its status; 0: none came.
func (c *requestCounts) note(status int) {
	class := classOK
	switch {
	case status == 0:
		class = classError
	case status == http.StatusTooManyRequests:
		class = classLimited
	case status >= http.StatusInternalServerError:
		class = classServer
	case status >= http.StatusMultipleChoices:
		class = classClient
	}
	c[class].Add(1)
}

// Requests counts the REST requests so far by class: 2xx, 4xx (3xx too), 429, 5xx, and error where no answer came. Safe
// from anywhere.
func (s *Supervisor) Requests() map[string]int64 {
	out := make(map[string]int64, classes)
	for i, name := range classNames {
		for _, l := range s.logins {
			out[name] += l.client.requests[i].Load()
		}
	}
	return out
}
