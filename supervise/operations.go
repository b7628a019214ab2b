package supervise

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// verb is what a request may do. There is no other: DELETE of a session or party drops the call for all, and PATCH
// changes it, so they can't be expressed here.
type verb uint8

const (
	get verb = iota
	post
)

func (v verb) String() string {
	if v == post {
		return http.MethodPost
	}
	return http.MethodGet
}

// op names an operation of the closed list.
type op uint8

const (
	opLogin op = iota
	opRevoke
	opFeedToken
	opOwnExtension
	opDevices
	opDevice
	opSIPInfo
	opExtensions
	opGroups
	opMembers
	opPresence
	opSession
	opSuperviseSession
	opSuperviseParty
	opCount
)

// operation is one entry of the closed list; "{}" in the path stands for an id.
type operation struct {
	name  string
	verb  verb
	path  string
	group group
}

const account = "/restapi/v1.0/account/~/"

// operations is everything that this package can ask of RingCentral.
var operations = [opCount]operation{
	opLogin:            {"login", post, "/restapi/oauth/token", groupAuth},
	opRevoke:           {"revoke login", post, "/restapi/oauth/revoke", groupAuth},
	opFeedToken:        {"feed token", post, "/restapi/oauth/wstoken", groupAuth},
	opOwnExtension:     {"read own extension", get, account + "extension/~", groupLight},
	opDevices:          {"list devices", get, account + "extension/~/device", groupLight},
	opDevice:           {"read device", get, account + "device/{}", groupLight},
	opSIPInfo:          {"read sip-info", get, account + "device/{}/sip-info", groupLight},
	opExtensions:       {"list extensions", get, account + "extension", groupMedium},
	opGroups:           {"list call monitoring groups", get, account + "call-monitoring-groups", groupMedium},
	opMembers:          {"list group members", get, account + "call-monitoring-groups/{}/members", groupMedium},
	opPresence:         {"look at presence", get, account + "presence", groupHeavy},
	opSession:          {"read session", get, account + "telephony/sessions/{}", groupLight},
	opSuperviseSession: {"supervise session", post, account + "telephony/sessions/{}/supervise", groupLight},
	opSuperviseParty:   {"supervise party", post, account + "telephony/sessions/{}/parties/{}/supervise", groupLight},
}

func (o op) String() string {
	if o < opCount {
		return operations[o].name
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// maxIDOctets bounds an id that RingCentral gave; real ones have fewer than 70.
const maxIDOctets = 256

// path fills the ids into the operation's path. An operation outside the list or a wrong number of ids is a mistake of
// ours; an id that would change the path is the peer's, and refused.
func (o op) path(ids []string) (string, error) {
	if o >= opCount || strings.Count(operations[o].path, "{}") != len(ids) {
		panic(fmt.Sprintf("supervise: %s with %d ids is not in the list of operations", o, len(ids)))
	}
	path := operations[o].path
	for _, id := range ids {
		if id == "" || id == "." || id == ".." || len(id) > maxIDOctets {
			return "", fmt.Errorf("%s: id %.40q: want 1 to %d characters that are no path", o, id, maxIDOctets)
		}
		path = strings.Replace(path, "{}", url.PathEscape(id), 1)
	}
	return path, nil
}
