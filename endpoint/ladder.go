package endpoint

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/sip"
)

// CallLadder is what was said in SIP in one dialog, or by one device with its registrar.
type CallLadder struct {
	Call   string `json:"call,omitempty"`   // id of the call, where the dialog belongs to one
	Device string `json:"device,omitempty"` // as DeviceStatus.Device
	sip.Ladder
}

// pastCall is a call that is over, and its dialogs.
type pastCall struct {
	id            string
	sessions, sip []string
}

// maxPast is how many calls that are over are still known by their ids. Their dialogs are known as long as package sip has
// room for them.
const maxPast = 512

// wentWrong says whether a cause calls for a look at what was said in SIP.
func wentWrong(c call.Code) bool {
	switch c {
	case call.CodeNoACK, call.CodeNoMedia, call.CodeRefused, call.CodeSessionExpired, call.CodeFlowLost, call.CodeProtocol, call.CodeInternal,
		call.CodeNoCapacity:
		return true
	}
	return false
}

// addLadder puts what was said in a dialog into a part's recording, once.
func (c *Call) addLadder(pt *part, r *ear, dialog string) {
	a := r.sip()
	if a == nil {
		return
	}
	l, ok := a.Ladder(dialog)
	if !ok {
		return
	}
	c.mu.Lock()
	again := c.laddered[dialog]
	c.laddered[dialog] = true
	rec := pt.rec
	c.mu.Unlock()
	if rec != nil && !again {
		rec.AddSIP(l.String() + "\n")
	}
}

// keepLadders puts what was said in a call's dialogs into its last recording if the call went wrong, and notes the call as past.
func (c *Call) keepLadders(parts []*part, cause call.Cause) {
	info := c.description()
	past := pastCall{id: c.id, sessions: info.Sessions}
	for i, pt := range parts {
		dialogs := c.describe(pt).SIPCallIDs
		past.sip = append(past.sip, dialogs...)
		if i < len(parts)-1 || !wentWrong(cause.Code) {
			continue
		}
		for _, r := range c.e.ears { // a call of two dialogs may lie on two devices
			for _, d := range dialogs {
				c.addLadder(pt, r, d)
			}
		}
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.e.past = append(c.e.past, past); len(c.e.past) > maxPast {
		c.e.past = slices.Delete(c.e.past, 0, 1)
	}
}

// Ladders gives what was said in SIP in a call: by its id, one of its sessions, or a SIP Call-ID. "" lists all that is known,
// the oldest first, with the first lines of the messages only.
func (e *Endpoint) Ladders(id string) []CallLadder {
	calls := e.dialogs()
	wanted := map[string]bool{id: true}
	for _, p := range calls {
		if p.id == id || slices.Contains(p.sessions, id) {
			for _, d := range p.sip {
				wanted[d] = true
			}
		}
	}
	out := []CallLadder{}
	for _, r := range e.ears {
		a := r.sip()
		if a == nil {
			continue
		}
		var found []sip.Ladder
		if id == "" {
			found = a.Ladders()
		} else {
			for d := range wanted {
				if l, ok := a.Ladder(d); ok && len(l.Steps) > 0 {
					found = append(found, l)
				}
			}
		}
		for _, l := range found {
			cl := CallLadder{Device: r.name(), Ladder: l}
			for _, p := range calls {
				if slices.Contains(p.sip, l.CallID) {
					cl.Call = p.id
				}
			}
			out = append(out, cl)
		}
	}
	slices.SortFunc(out, func(a, b CallLadder) int { return a.Steps[0].At.Compare(b.Steps[0].At) })
	return out
}

// dialogs lists the calls, those that are over first, with their dialogs.
func (e *Endpoint) dialogs() []pastCall {
	e.mu.Lock()
	out := slices.Clone(e.past)
	e.mu.Unlock()
	for _, c := range e.live() {
		p := pastCall{id: c.id, sessions: c.description().Sessions}
		for _, pt := range c.allParts() {
			p.sip = append(p.sip, c.describe(pt).SIPCallIDs...)
		}
		out = append(out, p)
	}
	return out
}

// Registrations gives what each device and its registrar said last.
func (e *Endpoint) Registrations() []CallLadder {
	out := []CallLadder{}
	for _, r := range e.ears {
		if a := r.sip(); a != nil {
			out = append(out, CallLadder{Device: r.name(), Ladder: a.Registration()})
		}
	}
	return out
}

// name is how the device is called in status.
func (r *ear) name() string {
	if r.device.AuthorizationID != "" {
		return r.device.AuthorizationID
	}
	a := r.sip()
	if a == nil {
		return ""
	}
	return a.Name()
}

// keepRegistrations writes down what was said where a device can't register: it may be asked about when earshot runs no more.
func (e *Endpoint) keepRegistrations() {
	if e.cfg.Record == nil {
		return
	}
	dir := filepath.Join(e.cfg.Record.Dir, "state")
	for _, r := range e.ears {
		a := r.sip()
		if a == nil {
			continue
		}
		st := a.State()
		if st.Registered || st.Status != "backoff" && st.Status != "rejected" || st.Since.Equal(r.told) {
			continue
		}
		r.told = st.Since
		l := a.Registration()
		if len(l.Steps) == 0 {
			continue // nobody was reached
		}
		if err := writeDurably(dir, filepath.Join(dir, "registration-"+fileName(r.name())+".txt"), []byte(l.String())); err != nil {
			r.log.Warn("registration's SIP not written", attr.Err(err))
		}
	}
}

// fileName makes a name that a file may have.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s[:min(len(s), 48)])
}
