package ringsim

import (
	"encoding/base64"
	"fmt"
	"slices"
)

// Account is the world behind the REST API: who exists, which devices they own, who may supervise whom. After New only
// [Sim.SetMembers] changes it; the zero Account stands for [DefaultAccount].
type Account struct {
	ID         string
	Apps       []App
	Extensions []Extension
	Devices    []Device
	Groups     []Group
}

// App is a registered application.
type App struct {
	ClientID     string
	ClientSecret string
	// Scopes are the application's permissions, such as CallControl.
	Scopes []string
	// NoRefresh leaves "Issue refresh tokens" unticked: tokens come without refresh_token.
	NoRefresh bool
}

// Extension is a user of the account.
type Extension struct {
	ID     string
	Number string // the short number, such as 108
	Name   string
	Phone  string // direct number, E.164
	JWT    string // the credential with which this user logs in, empty: can't
	// Denied are user permissions taken away, such as ReadPresenceStatus.
	Denied []string
}

// Device is a phone of an extension.
type Device struct {
	ID        string // also the SIP authorization id
	Extension string // owner's extension id
	Type      string // OtherPhone, SoftPhone, HardPhone
	Name      string
	UserName  string // SIP user, empty: no sip-info, never registers
	Password  string
	// Status is Online or Offline; empty: follows the SIP registration.
	Status string
	// MaxDialogs is how many calls it may have, 0: Switches.DialogsPerDevice.
	MaxDialogs int
}

// Group is a call monitoring group.
type Group struct {
	ID      string
	Name    string
	Members []Member
}

// Member is one extension's part in a group; it may have both permissions.
type Member struct {
	Extension  string // extension id
	Monitoring bool
	Monitored  bool
}

// The default world's fixed identifiers; made up, in the shape RingCentral's have.
const (
	DefaultAccountID    = "809646016"
	DefaultClientID     = "ringsim-client-id"
	DefaultClientSecret = "ringsim-client-secret"
	DefaultSupervisorID = "62226587016"
	DefaultDeviceID     = "802636634016"
	DefaultGroupID      = "8121017"
	SupervisorNumber    = "101"
	FirstAgentNumber    = 108
)

// Domain is the SIP domain and digest realm, as sip-info gives it.
const Domain = "sip.ringcentral.com"

const (
	firstAgentID     int64 = 62295327016
	firstAgentPhone  int64 = 12055550173
	firstAgentDevice int64 = 702636635016
)

// DefaultAccount is the world a zero Config.Account stands for: supervisor 101 with an OtherPhone and an offline
// SoftPhone, agents 108, 109, ... (each with a HardPhone), all in the group "Demo Supervisor". Agent 109 may monitor as well
// as be monitored, as members may. Zero or fewer agents mean one.
func DefaultAccount(agents int) Account {
	a := Account{
		ID: DefaultAccountID,
		Apps: []App{{
			ClientID: DefaultClientID, ClientSecret: DefaultClientSecret,
			Scopes: []string{"ReadAccounts", "ReadCallLog", "CallControl", "WebSocketsSubscription", "ReadPresence"},
		}},
		Extensions: []Extension{{
			ID: DefaultSupervisorID, Number: SupervisorNumber, Name: "Supervisor ABC", Phone: "+12055550101",
			JWT: madeUpJWT(DefaultSupervisorID),
		}},
		Devices: []Device{
			{
				ID: DefaultDeviceID, Extension: DefaultSupervisorID, Type: "OtherPhone", Name: "Supervisor Existing Phone",
				UserName: "12055550101", Password: "ringsim-made-up-pw",
			},
			{ID: "52959004", Extension: DefaultSupervisorID, Type: "SoftPhone", Name: "RingCentral app", Status: "Offline"},
		},
		Groups: []Group{{
			ID: DefaultGroupID, Name: "Demo Supervisor",
			Members: []Member{{Extension: DefaultSupervisorID, Monitoring: true}},
		}},
	}
	for i := range max(agents, 1) {
		x := Extension{
			ID:     fmt.Sprint(firstAgentID + 1000*int64(i)),
			Number: fmt.Sprint(FirstAgentNumber + i),
			Name:   agentName(i),
			Phone:  fmt.Sprintf("+%d", firstAgentPhone+int64(i)),
		}
		a.Extensions = append(a.Extensions, x)
		a.Devices = append(a.Devices, Device{
			ID: fmt.Sprint(firstAgentDevice + 1000*int64(i)), Extension: x.ID, Type: "HardPhone", Name: x.Name + "'s phone", Status: "Online",
		})
		a.Groups[0].Members = append(a.Groups[0].Members, Member{Extension: x.ID, Monitored: true, Monitoring: i == 1})
	}
	return a
}

func agentName(i int) string {
	names := []string{"Bob Brown", "Carol Clark", "Dan Diaz", "Erin Evans", "Frank Fisher", "Grace Green"}
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("Agent %d", FirstAgentNumber+i)
}

// madeUpJWT has a JWT's three parts and signs nothing.
func madeUpJWT(subject string) string {
	b := base64.RawURLEncoding.EncodeToString
	return b([]byte(`{"kid":"made-up","alg":"RS256"}`)) + "." + b([]byte(`{"sub":"`+subject+`","iss":"ringsim"}`)) + "." + b([]byte("made-up-signature"))
}

func (a *Account) check() error {
	ids := map[string]bool{}
	for _, x := range a.Extensions {
		if x.ID == "" || x.Number == "" || ids[x.ID] {
			return fmt.Errorf("account: extension %q (%s): id or number is empty or not unique", x.ID, x.Number)
		}
		ids[x.ID] = true
	}
	for _, d := range a.Devices {
		if !ids[d.Extension] {
			return fmt.Errorf("account: device %s: extension %q: unknown", d.ID, d.Extension)
		}
	}
	for _, g := range a.Groups {
		for _, m := range g.Members {
			if !ids[m.Extension] {
				return fmt.Errorf("account: group %s: member %q: unknown", g.ID, m.Extension)
			}
		}
	}
	return nil
}

func (a *Account) app(clientID string) *App {
	for i := range a.Apps {
		if a.Apps[i].ClientID == clientID {
			return &a.Apps[i]
		}
	}
	return nil
}

func (a *Account) extension(id string) *Extension {
	for i := range a.Extensions {
		if a.Extensions[i].ID == id {
			return &a.Extensions[i]
		}
	}
	return nil
}

func (a *Account) byNumber(number string) *Extension {
	for i := range a.Extensions {
		if a.Extensions[i].Number == number {
			return &a.Extensions[i]
		}
	}
	return nil
}

func (a *Account) byJWT(jwt string) *Extension {
	for i := range a.Extensions {
		if jwt != "" && a.Extensions[i].JWT == jwt {
			return &a.Extensions[i]
		}
	}
	return nil
}

func (a *Account) device(id string) *Device {
	for i := range a.Devices {
		if a.Devices[i].ID == id {
			return &a.Devices[i]
		}
	}
	return nil
}

func (a *Account) group(id string) *Group {
	for i := range a.Groups {
		if a.Groups[i].ID == id {
			return &a.Groups[i]
		}
	}
	return nil
}

// maySupervise tells whether one group holds both, the one with Monitoring, the other with Monitored.
func (a *Account) maySupervise(supervisor, agent string) bool {
	return slices.ContainsFunc(a.Groups, func(g Group) bool {
		return slices.ContainsFunc(g.Members, func(m Member) bool { return m.Extension == supervisor && m.Monitoring }) &&
			slices.ContainsFunc(g.Members, func(m Member) bool { return m.Extension == agent && m.Monitored })
	})
}
