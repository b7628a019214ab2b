package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestErrorsOfRingCentral(t *testing.T) {
	now := time.Unix(1000, 0)
	body := func(code, message, extra string) string {
		e := fmt.Sprintf(`{"errorCode":%q,"message":%q%s}`, code, message, extra)
		return fmt.Sprintf(`{"errorCode":%q,"message":%q%s,"errors":[%s]}`, code, message, extra, e)
	}
	for _, c := range []struct {
		op      op
		status  int
		body    string
		want    APIError
		outcome outcome
		hint    string
	}{
		{opSuperviseSession, 404, body("TAS-120", "Can't find registered deviceId", ""),
			APIError{Code: "TAS-120", Message: "Can't find registered deviceId"}, outcomeLater, "belongs to the user whose JWT"},
		{opSuperviseParty, 403, body("CMN-401", "In order to call this API endpoint, application needs to have [CallControl] permission", `,"permissionName":"CallControl"`),
			APIError{Code: "CMN-401", Permission: "CallControl"}, outcomeRefused, "CallControl scope"},
		{opPresence, 403, body("CMN-401", "x", `,"permissionName":"ReadPresence"`), APIError{Code: "CMN-401", Message: "x", Permission: "ReadPresence"}, outcomeRefused, "developer console"},
		{opPresence, 403, body("CMN-408", "user needs to have [ReadPresenceStatus] permission for requested resource.", `,"permissionName":"ReadPresenceStatus"`),
			APIError{Code: "CMN-408", Permission: "ReadPresenceStatus"}, outcomeRefused, "named permission"},
		{opSession, 404, `{"errors":[{"errorCode":"CMN-102","message":"gone","parameterName":"telephonySessionId"}]}`,
			APIError{Code: "CMN-102", Message: "gone", Parameter: "telephonySessionId"}, outcomeLater, "call is over"},
		{opSuperviseParty, 400, body("CMN-101", "bad", `,"parameterName":"mode"`), APIError{Code: "CMN-101", Message: "bad", Parameter: "mode"}, outcomeRefused, "named parameter"},
		{opSuperviseParty, 409, body("TAS-113", "x", ""), APIError{Code: "TAS-113", Message: "x"}, outcomeLater, "nobody else supervises"},
		{opSuperviseParty, 403, body("TAS-112", "x", ""), APIError{Code: "TAS-112", Message: "x"}, outcomeLater, "call monitoring group"},
		{opSuperviseParty, 400, body("XYZ-1", "x", ""), APIError{Code: "XYZ-1", Message: "x"}, outcomeLater, "call monitoring group"},
		{opSession, 403, body("XYZ-1", "x", ""), APIError{Code: "XYZ-1", Message: "x"}, outcomeRefused, ""},
		{opSuperviseParty, 403, body("CMN-109", "x", ""), APIError{Code: "CMN-109", Message: "x"}, outcomeRefused, "production"},
		{opLogin, 400, `{"error":"invalid_grant","error_description":"JWT is expired"}`,
			APIError{Code: "invalid_grant", Message: "JWT is expired"}, outcomeRefused, "JWT is not accepted"},
		{opLogin, 401, body("OAU-146", "Invalid client credentials", ""), APIError{Code: "OAU-146"}, outcomeUnclear, "client_secret"},
		{opSession, 401, body("OAU-213", "Token not found", ""), APIError{Code: "OAU-213"}, outcomeUnclear, "five programs"},
		{opLogin, 400, body("OAU-148", "locked", ""), APIError{Code: "OAU-148"}, outcomeRefused, "locked"},
		{opPresence, 429, body("CMN-301", "Request rate exceeded", ""), APIError{Code: "CMN-301"}, outcomeBusy, "used up"},
		{opSuperviseParty, 502, "<html>Bad Gateway</html>", APIError{}, outcomeUnclear, "own trouble"},
		{opSuperviseParty, 500, body("CMN-203", "Internal server error", ""), APIError{Code: "CMN-203"}, outcomeUnclear, "own trouble"},
		{opSuperviseParty, 418, `{"errorCode":12,"message":{"a":1}}`, APIError{Code: "12"}, outcomeRefused, ""},
		{opPresence, 404, body("AGW-404", "Resource not found\nforged line", ""), APIError{Code: "AGW-404", Message: "Resource not found forged line"}, outcomeLater, "ringcentral.server"},
	} {
		e := parseAPIError(c.op, c.status, []byte(c.body))
		if e.Op != c.op.String() || e.Status != c.status || e.Code != c.want.Code || e.Parameter != c.want.Parameter || e.Permission != c.want.Permission ||
			(c.want.Message != "" && e.Message != c.want.Message) {
			t.Errorf("%s: got %+v, want %+v", c.body, *e, c.want)
		}
		if o, _ := judge(fmt.Errorf("wrapped: %w", e), now); o != c.outcome {
			t.Errorf("%s: got outcome %d, want %d", e, o, c.outcome)
		}
		if h := e.Hint(); !strings.Contains(h, c.hint) || (c.hint == "") != (h == "") {
			t.Errorf("%s: got hint %q, want one with %q", e, h, c.hint)
		}
		if !strings.Contains(e.Error(), c.want.Code) || strings.ContainsAny(e.Error(), "\n<") || !strings.Contains(e.Error(), e.Permission) {
			t.Errorf("text: got %q", e.Error())
		}
	}
}

func TestJudgeOfOtherErrors(t *testing.T) {
	now := time.Unix(1000, 0)
	until := now.Add(9 * time.Second)
	for _, c := range []struct {
		err  error
		want outcome
	}{
		{nil, outcomeDone},
		{&busyError{groupLight, until}, outcomeBusy},
		{&loginError{&APIError{Status: 400}, until}, outcomeBusy},
		{context.DeadlineExceeded, outcomeUnclear},
		{errors.New("connection reset by peer"), outcomeUnclear},
	} {
		o, u := judge(c.err, now)
		if o != c.want || (o == outcomeBusy && !u.Equal(until)) {
			t.Errorf("%v: got %d until %s, want %d", c.err, o, u, c.want)
		}
	}
}
