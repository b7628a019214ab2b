package ringsim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What a filter may ask for.
const (
	topicTelephony = "telephony/sessions"
	topicPresence  = "presence"
)

// filter is one event filter of a subscription, as it was understood.
type filter struct {
	text      string // with ~ resolved, as the answer shows it
	topic     string
	extension string // id; empty: the whole account
	query     url.Values
	mute      bool // the application lacks the scope: accepted, and nothing ever comes
}

// filterKeys are the query parameters of a telephony filter, with the values they may have; none means any.
var filterKeys = map[string][]string{
	"direction": {inbound, outbound}, "missedCall": {"true", "false"}, "phoneNumber": nil, "sipData": {"true", "false"},
	"statusCode": {
		stateSetup, stateProceeding, stateAnswered, stateDisconnected, stateGone, stateParked, stateHold, "VoiceMail", "FaxReceive",
		"Tds", "VoiceMailScreening",
	},
	"withRecordings": {"true", "false"}, "detailedTelephonyState": {"true", "false"},
}

// everybody is the permission that an account's filter, or another user's, needs. RingCentral only says "an admin-like role".
const everybody = "AccountTelephonySessions"

// parseFilter reads an event filter for a user; the refusal is what disabledFilters show.
func (a *Account) parseFilter(text string, app *App, user *Extension) (filter, *apiError) {
	bad := func() *apiError {
		return refuse(http.StatusBadRequest, "SUB-508", "Event filter [%s] is invalid", text)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" {
		return filter{}, bad()
	}
	rest, ok := strings.CutPrefix(u.Path, "/restapi/v1.0/account/")
	if !ok {
		return filter{}, bad()
	}
	account, rest, _ := strings.Cut(rest, "/")
	if account != "~" && account != a.ID {
		return filter{}, refuse(http.StatusForbidden, "SUB-406", "Subscription to another account is not allowed")
	}
	f := filter{query: u.Query(), text: "/restapi/v1.0/account/" + a.ID + "/"}
	if after, ok := strings.CutPrefix(rest, "extension/"); ok {
		f.extension, rest, _ = strings.Cut(after, "/")
		if f.extension == "~" {
			f.extension = user.ID
		}
		if a.extension(f.extension) == nil {
			return filter{}, refuse(http.StatusForbidden, "SUB-408", "Unknown user [%s]", f.extension)
		}
		f.text += "extension/" + f.extension + "/"
	}
	f.topic = strings.TrimSuffix(rest, "/")
	scope := map[string]string{topicTelephony: "CallControl", topicPresence: "ReadPresence"}[f.topic]
	if scope == "" {
		return filter{}, bad()
	}
	for key, values := range f.query {
		legal, known := filterKeys[key]
		if !known || len(legal) > 0 && slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(legal, v) }) {
			return filter{}, bad()
		}
	}
	f.text += f.topic
	if u.RawQuery != "" {
		f.text += "?" + u.RawQuery
	}
	if f.extension != user.ID && slices.Contains(user.Denied, everybody) {
		return filter{}, noPermission(everybody)
	}
	f.mute = !slices.Contains(app.Scopes, scope)
	return f, nil
}

// takes tells whether the filter lets a notice through.
func (f *filter) takes(n *notice) bool {
	if f.mute || f.topic != n.topic || f.extension != "" && f.extension != n.extension {
		return false
	}
	is := func(key, value string) bool { return !f.query.Has(key) || slices.Contains(f.query[key], value) }
	if f.topic == topicPresence {
		return true
	}
	missed, recorded := "false", f.query.Get("withRecordings") != "true" // nothing here is recorded by RingCentral
	if n.missed {
		missed = "true"
	}
	number := !f.query.Has("phoneNumber") || slices.Contains(f.query["phoneNumber"], n.from) || slices.Contains(f.query["phoneNumber"], n.to)
	return is("statusCode", n.code) && is("direction", n.direction) && is("missedCall", missed) && number && recorded
}
