package supervise

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// text is a JSON string or number as text, and empty for anything else: RingCentral gives the same id as a number in
// older resources and as a string in newer ones, sometimes both in one document. It has no control characters.
type text string

// UnmarshalJSON never fails: an unexpected type is an empty text, not the loss of a whole page.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0:
	case b[0] == '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = text(printable(s))
		}
	case b[0] == '-', b[0] >= '0' && b[0] <= '9':
		*t = text(b)
	}
	return nil
}

// printable is a text without control characters, which a terminal would obey.
func printable(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// maxItems bounds a list; a page has perPage records.
const maxItems = 10_000

// list is a JSON array of which only the readable elements are kept, maxItems and one more to tell that there are more;
// anything else is an empty list.
type list[T any] []T

// UnmarshalJSON never fails.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	d := json.NewDecoder(bytes.NewReader(b))
	if first, err := d.Token(); err != nil || first != json.Delim('[') {
		return nil
	}
	for n := 0; n <= maxItems && d.More(); n++ {
		var r json.RawMessage
		if d.Decode(&r) != nil {
			return nil
		}
		var v T
		if !bytes.Equal(bytes.TrimSpace(r), []byte("null")) && json.Unmarshal(r, &v) == nil {
			*l = append(*l, v)
		}
	}
	return nil
}

// parseTime reads RingCentral's two forms, 2026-11-23T10:16:29.629+0000 (REST) and ...Z (events); zero if it is neither.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// paging is what a list says about its pages.
type paging struct {
	TotalPages text
	Next       text
}

func (p paging) more(page int) bool {
	if p.Next != "" {
		return true
	}
	n, err := strconv.Atoi(string(p.TotalPages))
	return err == nil && page < n
}

type pagingDoc struct {
	Paging struct {
		TotalPages text `json:"totalPages"`
	} `json:"paging"`
	Navigation struct {
		NextPage struct {
			URI text `json:"uri"`
		} `json:"nextPage"`
	} `json:"navigation"`
}

func parsePaging(raw []byte) paging {
	var d pagingDoc
	if json.Unmarshal(raw, &d) != nil {
		return paging{}
	}
	return paging{TotalPages: d.Paging.TotalPages, Next: d.Navigation.NextPage.URI}
}

// parseList reads {"records":[...]}, or a document that is itself the one record.
func parseList[T any](raw []byte) ([]T, error) {
	var d struct {
		Records *list[T] `json:"records"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	if d.Records != nil {
		if len(*d.Records) > maxItems {
			return nil, fmt.Errorf("list: more than %d records", maxItems)
		}
		return *d.Records, nil
	}
	var one T
	if err := json.Unmarshal(raw, &one); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return []T{one}, nil
}

// extensionRef is how other resources name an extension.
type extensionRef struct {
	ID     text `json:"id"`
	Number text `json:"extensionNumber"`
	Name   text `json:"name"`
}

// presenceRecord is one extension's presence. Its overall telephonyStatus is not read: it may say NoCall although a call
// is connected.
type presenceRecord struct {
	Extension   extensionRef     `json:"extension"`
	ActiveCalls list[activeCall] `json:"activeCalls"`
}

type activeCall struct {
	Direction  text `json:"direction"`
	From       text `json:"from"`
	FromName   text `json:"fromName"`
	To         text `json:"to"`
	ToName     text `json:"toName"`
	Telephony  text `json:"telephonyStatus"`
	Start      text `json:"startTime"`
	PartyID    text `json:"partyId"`
	SessionID  text `json:"telephonySessionId"` // not sessionId: that is another, older number
	Terminated text `json:"terminationType"`
}

// peerDoc is the from or to of a party.
type peerDoc struct {
	Number      text `json:"phoneNumber"`
	Name        text `json:"name"`
	Extension   text `json:"extensionNumber"`
	ExtensionID text `json:"extensionId"`
}

type partyDoc struct {
	ID          text    `json:"id"`
	Direction   text    `json:"direction"`
	ExtensionID text    `json:"extensionId"`
	From        peerDoc `json:"from"`
	To          peerDoc `json:"to"`
	Owner       struct {
		ExtensionID text `json:"extensionId"`
	} `json:"owner"` // deprecated in favour of extensionId, and still the only one in some answers
	Queue  loose[bool] `json:"queueCall"`
	Status struct {
		Code   text           `json:"code"`
		Reason text           `json:"reason"`
		Peer   loose[peerRef] `json:"peerId"`
	} `json:"status"`
}

// peerRef names the party that a Gone one has become, in another session.
type peerRef struct {
	Session text `json:"telephonySessionId"`
	Party   text `json:"partyId"`
}

// partyState is one participant as a session GET or an event shows it.
type partyState struct {
	ID          string
	ExtensionID string // empty for a party that is not of this account
	Status      string
	Reason      string
	Supervising bool
	Outbound    bool // the party that called; its direction is technical and says nothing about whose it is
	Queue       bool
	Name        string
	Number      string
	Extension   string
	Far         farEnd // whom it talks to, as it stands in from or to
	Peer        Ref    // the session and party in which it goes on
}

// farEnd is the other end of a party's call.
type farEnd struct{ ExtensionID, Extension, Name, Number string }

// id is a text as an id: one that is too long for it is none, for the beginning of an id names somebody else.
func (t text) id() string {
	if len(t) > maxIDOctets {
		return ""
	}
	return string(t)
}

// short is a text of which no more is kept than names and numbers have.
func (t text) short() string {
	if len(t) <= maxIDOctets {
		return string(t)
	}
	return strings.ToValidUTF8(string(t[:maxIDOctets]), "")
}

func (d partyDoc) state() partyState {
	p := partyState{ID: d.ID.id(), ExtensionID: d.ExtensionID.id(), Status: d.Status.Code.short(), Reason: d.Status.Reason.short(), Queue: d.Queue.v}
	p.Peer = Ref{d.Status.Peer.v.Session.id(), d.Status.Peer.v.Party.id()}
	if p.ExtensionID == "" {
		p.ExtensionID = d.Owner.ExtensionID.id()
	}
	p.Supervising = strings.EqualFold(p.Reason, "Supervising")
	// The direction is technical: the caller's party is Outbound and described by from, the callee's by to.
	self, far := d.To, d.From
	if p.Outbound = strings.EqualFold(string(d.Direction), "Outbound"); p.Outbound {
		self, far = d.From, d.To
	}
	p.Far = farEnd{far.ExtensionID.id(), far.Extension.short(), far.Name.short(), far.Number.short()}
	p.Name, p.Number, p.Extension = self.Name.short(), self.Number.short(), self.Extension.short()
	return p
}

// parseSession reads a session GET, also in the wrapped form {"session":{...}}.
func parseSession(raw []byte) ([]partyState, error) {
	type doc struct {
		Parties *list[partyDoc] `json:"parties"`
	}
	var d struct {
		doc
		Session doc `json:"session"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	parties := d.Parties
	if parties == nil {
		parties = d.Session.Parties
	}
	if parties == nil {
		return nil, fmt.Errorf("session: got no parties")
	}
	states := make([]partyState, 0, len(*parties))
	for _, p := range *parties {
		if p.ID.id() != "" {
			states = append(states, p.state())
		}
	}
	return states, nil
}

// parseSupervised reads our own party's id from the answer to a supervise request.
func parseSupervised(raw []byte) string {
	var d struct {
		ID    text `json:"id"`
		Party struct {
			ID text `json:"id"`
		} `json:"party"`
	}
	if json.Unmarshal(raw, &d) != nil {
		return "" // granted all the same; the INVITE names it
	}
	if d.ID == "" {
		return d.Party.ID.id()
	}
	return d.ID.id()
}
