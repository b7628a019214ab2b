package ringsim

import (
	"fmt"
	"net/http"
	"time"
)

// object is a JSON object of the API.
type object = map[string]any

// apiError is a refusal: HTTP status and RingCentral's error body.
type apiError struct {
	status     int
	code       string
	message    string
	oauth      string // OAuth 2.0's own word, at the token endpoint only
	extra      object // parameterName, parameterValue, permissionName
	retryAfter time.Duration
	violation  string // not empty: the client broke a rule, the run fails
}

func refuse(status int, code, format string, args ...any) *apiError {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// body repeats the first error at the top level, as real answers do.
func (e *apiError) body() object {
	first := object{"errorCode": e.code, "message": e.message}
	for k, v := range e.extra {
		first[k] = v
	}
	b := object{"errors": []object{first}}
	for k, v := range first {
		b[k] = v
	}
	if e.oauth != "" {
		b["error"] = e.oauth
		b["error_description"] = e.message
	}
	return b
}

func (e *apiError) withOAuth(word string) *apiError {
	e.oauth = word
	return e
}

func invalidParameter(name, value string) *apiError {
	e := refuse(http.StatusBadRequest, "CMN-101", "Parameter [%s] value is invalid", name)
	e.extra = object{"parameterName": name}
	if value != "" {
		e.extra["parameterValue"] = value
	}
	return e
}

func notFound(name, value string) *apiError {
	e := refuse(http.StatusNotFound, "CMN-102", "Resource for parameter [%s] is not found", name)
	e.extra = object{"parameterName": name}
	if value != "" {
		e.extra["parameterValue"] = value
	}
	return e
}

func noScope(scope string) *apiError {
	e := refuse(http.StatusForbidden, "CMN-401", "In order to call this API endpoint, application needs to have [%s] permission", scope)
	e.extra = object{"permissionName": scope}
	return e
}

func noPermission(permission string) *apiError {
	e := refuse(http.StatusForbidden, "CMN-408",
		"In order to call this API endpoint, user needs to have [%s] permission for requested resource.", permission)
	e.extra = object{"permissionName": permission}
	return e
}
