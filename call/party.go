package call

import "fmt"

// Role says which side of the conversation a party, and so its track, is. Zero is unknown.
type Role uint8

// The roles. A mix is one stream that holds all parties (session supervision, plain registrar).
const (
	RoleUnknown Role = iota
	RoleCustomer
	RoleAgent
	RoleOther
	RoleMix
)

var roleNames = [...]string{RoleUnknown: "unknown", RoleCustomer: "customer", RoleAgent: "agent", RoleOther: "other", RoleMix: "mix"}

// String gives the role's name as it stands in manifests, metrics and the environment of stream programs.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("Role(%d)", uint8(r))
}

// MarshalText writes the name, for JSON and YAML.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a name; an unknown one is an error that lists the known ones.
func (r *Role) UnmarshalText(b []byte) error {
	for i, n := range roleNames {
		if n == string(b) {
			*r = Role(i)
			return nil
		}
	}
	return fmt.Errorf("role: got %q, want one of %v", b, roleNames)
}

// How a party's id or role was found out; stands in the manifest as identified_by.
const (
	ByMonitoringIDs = "p-rc-api-monitoring-ids" // the INVITE names the monitored party
	ByAPIIDs        = "p-rc-api-ids"            // the INVITE names our own party, known from a supervise answer
	BySession       = "session"                 // one open request of that session
	ByMediaTitle    = "i-line"                  // i=<session> party-id=<party> of the m= line, looked up
	ByLineOrder     = "line-order"              // guess: first m= line customer, second agent
	BySIP           = "sip"                     // plain registrar: From of the INVITE
)

// Party is one participant as RingCentral names it, or the far end of a plain SIP call. Name and Number are a person's
// data: they go into the record and debug logs only.
type Party struct {
	ID           string `json:"id,omitempty"` // RingCentral's party id; empty on a plain registrar
	Role         Role   `json:"role"`
	Name         string `json:"name,omitempty"`
	Number       string `json:"number,omitempty"`
	Extension    string `json:"extension,omitempty"` // short number, such as 108
	IdentifiedBy string `json:"identified_by,omitempty"`
}
