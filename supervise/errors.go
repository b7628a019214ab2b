package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// APIError is a refusal by RingCentral, code and text as it gave them. Branch on Status and Code, never on Message: it
// is translated and reworded.
type APIError struct {
	Op         string        // what was asked, such as "supervise party"
	Status     int           // HTTP status
	Code       string        // errorCode, or OAuth's error; empty where the answer had none
	Message    string        // at most 300 characters
	Parameter  string        // parameterName
	Permission string        // permissionName
	RetryAfter time.Duration // 0: not given
}

// Error says what was asked and what RingCentral answered.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d", e.Op, e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	} else if t := http.StatusText(e.Status); t != "" {
		b.WriteString(": " + strings.ToLower(t))
	}
	if e.Parameter != "" && !strings.Contains(e.Message, e.Parameter) {
		b.WriteString(" (" + e.Parameter + ")")
	}
	if e.Permission != "" && !strings.Contains(e.Message, e.Permission) {
		b.WriteString(" (" + e.Permission + ")")
	}
	return b.String()
}

// advice is what to do about a code. An empty parameter or permission fits any.
type advice struct {
	code, parameter, permission, hint string
}

// advices are looked through in order. TAS codes are not documented; TAS-120 is the only one that was seen.
var advices = []advice{
	{"TAS-120", "", "", "see that the device is Online, and that it belongs to the user whose JWT this is: RingCentral " +
		"looks for registered devices of that user only"},
	{"CMN-401", "", "CallControl", "the app lacks the CallControl scope: request it from RingCentral's developer support, " +
		"then tick it in the app's settings"},
	{"CMN-401", "", "", "tick the named scope in the app's settings in RingCentral's developer console, then log in again"},
	{"CMN-402", "", "", "use the JWT of an administrator, or give the user the rights of one"},
	{"CMN-408", "", "", "give the supervisor the named permission (admin portal, Users, Roles) and put supervisor and agent " +
		"into one call monitoring group"},
	{"CMN-101", "", "", "RingCentral does not accept the named parameter: compare it with the configuration"},
	{"CMN-102", "telephonySessionId", "", "the call is over, or not of this account"},
	{"CMN-102", "agentExtensionId", "", "the agent is not on the line in that call yet, or not any more"},
	{"CMN-102", "deviceId", "", "see that device_id names a device of type OtherPhone (Existing Phone) of this user"},
	{"CMN-102", "", "", "what the request names does not exist, or not any more"},
	{"CMN-109", "", "", "the feature is not there for this account; supervision needs production and Call Monitoring"},
	{"CMN-120", "", "", "see that ringcentral.server is RingCentral's API server and nothing else"},
	{"AGW-404", "", "", "see that ringcentral.server is RingCentral's API server and nothing else"},
	{"OAU-105", "", "", "extensions of this type can't log in: make the JWT as a user"},
	{"OAU-112", "", "", "the app does not allow JWT: tick the JWT auth flow in the app's settings"},
	{"OAU-125", "", "", "the app does not allow JWT: tick the JWT auth flow in the app's settings"},
	{"OAU-146", "", "", "see that client_id and client_secret are those of the app, for this server"},
	{"invalid_client", "", "", "see that client_id and client_secret are those of the app, for this server"},
	{"OAU-120", "", "", "the JWT is not made for this app: make it with this client_id, or for all apps"},
	{"OAU-121", "", "", "the JWT is not made for this app: make it with this client_id, or for all apps"},
	{"OAU-140", "", "", "the JWT is not accepted: see that it is whole, not expired, and made for this app and server"},
	{"invalid_grant", "", "", "the JWT is not accepted: see that it is whole, not expired, and made for this app and server"},
	{"OAU-141", "", "", "the user or account is disabled at RingCentral"},
	{"OAU-142", "", "", "the user or account is disabled at RingCentral"},
	{"OAU-147", "", "", "the account is locked after too many failed logins: wait, or have an administrator unlock it"},
	{"OAU-148", "", "", "the account is locked after too many failed logins: wait, or have an administrator unlock it"},
	{"OAU-213", "", "", "the login was ended from outside; at most five programs can be logged in per user and app"},
}

// Hint says what to do about it; empty where nothing is known.
func (e *APIError) Hint() string {
	for _, a := range advices {
		if a.code == e.Code && (a.parameter == "" || a.parameter == e.Parameter) && (a.permission == "" || a.permission == e.Permission) {
			return a.hint
		}
	}
	switch {
	case e.Status == http.StatusTooManyRequests:
		return "the app's requests per minute are used up; earshot waits as told. See whether other programs use the same app and user"
	case e.Status >= 500:
		return "RingCentral's own trouble: earshot tries again"
	case e.unexplained():
		return "see that the device is Online and the user's own, that supervisor and agent share a call monitoring group, " +
			"and that nobody else supervises this call"
	case e.Status == http.StatusUnauthorized:
		return "the login is not accepted: see client_id, client_secret and JWT"
	case e.Status >= 300 && e.Status < 400:
		return "the server sends us elsewhere: see that ringcentral.server is the API server"
	}
	return ""
}

// documented are the beginnings of the codes that RingCentral's documents list; a code is such a word and a number.
var documented = []string{"CMN", "OAU", "AGW", "SUB"}

// unexplained says whether a request to supervise was refused with a code that no document lists: what it means only a look can
// tell.
func (e *APIError) unexplained() bool {
	begin, _, code := strings.Cut(e.Code, "-")
	return code && !slices.Contains(documented, begin) && strings.HasPrefix(e.Op, "supervise") &&
		e.Status >= 400 && e.Status < 500 && !slices.Contains([]int{
		http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests,
	}, e.Status)
}

const maxMessage = 300

// clean makes foreign text fit for one line of a log.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxMessage {
		s = string(r[:maxMessage]) + "…"
	}
	return strings.TrimSpace(s)
}

// parseAPIError reads an error body: {"errorCode","message",...,"errors":[{...}]}, OAuth's {"error",
// "error_description"}, or anything else, such as a gateway's HTML, which is not shown.
func parseAPIError(o op, status int, body []byte) *APIError {
	type item struct {
		Code       text `json:"errorCode"`
		Message    text `json:"message"`
		Parameter  text `json:"parameterName"`
		Permission text `json:"permissionName"`
	}
	var doc struct {
		item
		Error       text       `json:"error"`
		Description text       `json:"error_description"`
		Errors      list[item] `json:"errors"`
	}
	e := &APIError{Op: o.String(), Status: status}
	if json.Unmarshal(body, &doc) != nil {
		return e
	}
	first := item{}
	if len(doc.Errors) > 0 {
		first = doc.Errors[0]
	}
	pick := func(ts ...text) string {
		for _, t := range ts {
			if t != "" {
				return clean(string(t))
			}
		}
		return ""
	}
	e.Code = pick(doc.Code, first.Code, doc.Error)
	e.Message = pick(doc.Message, first.Message, doc.Description)
	e.Parameter = pick(doc.Parameter, first.Parameter)
	e.Permission = pick(doc.Permission, first.Permission)
	return e
}

// outcome is what the loop makes of an answer.
type outcome uint8

const (
	outcomeDone    outcome = iota
	outcomeBusy            // not sent, or told to wait: ask again then
	outcomeLater           // refused for now: the telephony side may lag, a device may come back
	outcomeRefused         // refused; the same request would be refused again
	outcomeUnclear         // nobody knows whether it was done: look before asking again
)

// judge sorts an error into an outcome; until is before when it must not be asked again.
func judge(err error, now time.Time) (o outcome, until time.Time) {
	if err == nil {
		return outcomeDone, time.Time{}
	}
	if l, ok := errors.AsType[*loginError](err); ok {
		return outcomeBusy, l.until
	}
	if b, ok := errors.AsType[*busyError](err); ok {
		return outcomeBusy, b.until
	}
	e, ok := errors.AsType[*APIError](err)
	switch {
	case !ok:
		return outcomeUnclear, time.Time{}
	case e.Status == http.StatusTooManyRequests:
		return outcomeBusy, now.Add(max(e.RetryAfter, time.Second))
	case e.Status == http.StatusNotFound, e.Status == http.StatusConflict, e.unexplained():
		return outcomeLater, time.Time{}
	case e.Status >= 500, e.Status == http.StatusRequestTimeout, e.Status == http.StatusUnauthorized:
		return outcomeUnclear, now.Add(e.RetryAfter)
	}
	return outcomeRefused, time.Time{}
}

// hintOf gives an error's hint, if it has one.
func hintOf(err error) string {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.Hint()
	}
	return ""
}
