package supervise

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// loose takes a JSON value of the wanted form, and is zero for anything else: one odd field is not the loss of a message.
type loose[T any] struct{ v T }

// UnmarshalJSON never fails.
func (l *loose[T]) UnmarshalJSON(b []byte) error {
	var v T
	if json.Unmarshal(b, &v) == nil {
		l.v = v
	}
	return nil
}

// integer reads a number that may stand in quotes; 0 for anything else.
func (t text) integer() int64 {
	n, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// The types of frames.
const (
	frameDetails   = "ConnectionDetails"
	frameRequest   = "ClientRequest" // of our requests and of their answers
	frameEvent     = "ServerNotification"
	frameHeartbeat = "Heartbeat"
	frameError     = "Error"
)

// recoveryToken is what a lost connection is taken up again with.
type recoveryToken struct {
	Token    text `json:"token"`
	Sequence text `json:"sequence"`
}

// frame is one message of the event feed: a JSON array [meta] or [meta, body].
type frame struct {
	kind     string
	id       string
	status   int64
	recovery string // recoveryState, of ConnectionDetails
	wsc      recoveryToken
	body     json.RawMessage // nil: none
}

func parseFrame(b []byte) (frame, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return frame{}, fmt.Errorf("feed message of %d octets: %w", len(b), err)
	}
	if len(parts) == 0 {
		return frame{}, fmt.Errorf("feed message: got an empty array, want [meta] or [meta, body]")
	}
	var meta struct {
		Type     text                 `json:"type"`
		ID       text                 `json:"messageId"`
		Status   text                 `json:"status"`
		Recovery text                 `json:"recoveryState"`
		WSC      loose[recoveryToken] `json:"wsc"`
	}
	if err := json.Unmarshal(parts[0], &meta); err != nil {
		return frame{}, fmt.Errorf("feed message: meta: %w", err)
	}
	f := frame{kind: string(meta.Type), id: string(meta.ID), status: meta.Status.integer(), recovery: string(meta.Recovery), wsc: meta.WSC.v}
	if len(parts) > 1 {
		f.body = parts[1]
	}
	return f, nil
}

// feedDetails is what the server says of a connection when it opens.
type feedDetails struct {
	recovered bool
	recovery  time.Duration // a lost connection can be taken up again within it
	idle      time.Duration
	absolute  time.Duration // the server closes the connection then
}

// The documented times, for answers that lack them.
const (
	defaultRecovery = 180 * time.Second
	defaultIdle     = 1800 * time.Second
	defaultAbsolute = 86400 * time.Second
	minFeedTime     = time.Second
)

func (f frame) details() feedDetails {
	var d struct {
		State    text `json:"recoveryState"`
		Recovery text `json:"recoveryTimeout"`
		Idle     text `json:"idleTimeout"`
		Absolute text `json:"absoluteTimeout"`
	}
	_ = json.Unmarshal(f.body, &d) // what is missing is as documented
	seconds := func(t text, or time.Duration) time.Duration {
		if n := t.integer(); n > 0 && n <= int64(defaultAbsolute/time.Second)*365 {
			return max(time.Duration(n)*time.Second, minFeedTime)
		}
		return or
	}
	if d.State == "" {
		d.State = text(f.recovery)
	}
	return feedDetails{
		recovered: d.State == "Successful", recovery: seconds(d.Recovery, defaultRecovery),
		idle: seconds(d.Idle, defaultIdle), absolute: seconds(d.Absolute, defaultAbsolute),
	}
}

// clientRequest makes the frame of a request; method is POST or PUT, path that of subscriptions: nothing else is ever
// sent over the feed.
func clientRequest(id, method, path string, filters []string) []byte {
	meta := map[string]string{"type": frameRequest, "messageId": id, "method": method, "path": path}
	body := map[string]any{"eventFilters": filters, "deliveryMode": map[string]string{"transportType": "WebSocket"}}
	b, err := json.Marshal([]any{meta, body})
	if err != nil {
		panic(fmt.Sprintf("supervise: strings can't be marshalled: %v", err))
	}
	return b
}

func heartbeat(id string) []byte {
	b, err := json.Marshal([]any{map[string]string{"type": frameHeartbeat, "messageId": id}})
	if err != nil {
		panic(fmt.Sprintf("supervise: strings can't be marshalled: %v", err))
	}
	return b
}

// subscription is the answer to a subscribe request.
type subscription struct {
	id       string
	disabled []disabledFilter
}

type disabledFilter struct {
	Filter  text `json:"filter"`
	Reason  text `json:"reason"`
	Message text `json:"message"`
}

func (d disabledFilter) String() string {
	s := clean(string(d.Filter))
	if d.Reason != "" {
		s += ": " + clean(string(d.Reason))
	}
	if d.Message != "" {
		s += ": " + clean(string(d.Message))
	}
	return s
}

func (f frame) subscription() subscription {
	var d struct {
		ID       text                 `json:"id"`
		Disabled list[disabledFilter] `json:"disabledFilters"`
	}
	_ = json.Unmarshal(f.body, &d)
	return subscription{id: string(d.ID), disabled: d.Disabled}
}
