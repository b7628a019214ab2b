package trunk

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"
)

// binding is an address of record bound to a Contact. Trunk.mu guards it.
type binding struct {
	instance string // +sip.instance, or the Contact's URI where there is none
	contact  string // the Contact's URI
	params   string // reg-id and +sip.instance, as they are given back
	flow     *flow
	callID   string
	cseq     uint32
	ends     time.Time
	foreign  bool // by Take
}

// nonceLife is how long a challenge may be answered.
const nonceLife = 5 * time.Minute

// register is the REGISTER of section 10.3 of RFC 3261 by RingCentral's rules.
func (t *Trunk) register(f *flow, m *message) {
	if want := "sip:" + t.cfg.Domain; m.uri != want {
		t.strictly("REGISTER: Request-URI is %s, want %s", m.uri, want)
	}
	c := credentials(m.get("Authorization"))
	if c == nil || !t.useNonce(c["nonce"]) {
		t.challenge(f, m)
		return
	}
	user, err := t.checkDigest(c)
	if err != nil {
		t.violation("REGISTER: %v", err)
		t.respond(f, m, &message{code: 403, reason: "Forbidden"})
		return
	}
	for _, name := range []string{"From", "To"} {
		uri, _ := address(m.get(name))
		if name, host := userHost(uri); name != user.UserName || host != t.cfg.Domain {
			t.violation("REGISTER: address of record is %s, want sip:%s@%s", uri, user.UserName, t.cfg.Domain)
			t.respond(f, m, &message{code: 403, reason: "Forbidden"})
			return
		}
	}
	t.bind(f, m, user)
}

// challenge asks for a digest. The header's spelling and the order of realm and nonce are those seen.
func (t *Trunk) challenge(f *flow, m *message) {
	nonce := hex.EncodeToString(random(16))
	t.mu.Lock()
	if len(t.nonces) < maxTransactions {
		t.nonces[nonce] = time.Now().Add(nonceLife)
	}
	t.mu.Unlock()
	value := fmt.Sprintf(`Digest realm="%s", nonce="%s"`, t.cfg.Domain, nonce)
	if t.cfg.Qop {
		value += `, qop="auth", algorithm=MD5`
	}
	t.respond(f, m, &message{code: 401, reason: "Unauthorized", headers: []Header{{"Www-Authenticate", value}}})
}

// useNonce takes a nonce; each is good for one REGISTER.
func (t *Trunk) useNonce(nonce string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.nonces[nonce]
	delete(t.nonces, nonce)
	return ok
}

// bind adds, refreshes or removes the binding of a REGISTER whose digest was right.
func (t *Trunk) bind(f *flow, m *message, user User) {
	contacts := m.all("Contact")
	if len(contacts) != 1 || unquoted(contacts[0].Value, ',') >= 0 {
		t.strictly("REGISTER of %s: %d Contacts, want 1", user.UserName, len(contacts))
		if len(contacts) == 0 { // a query, RFC 3261 section 10.2.3
			t.respond(f, m, &message{code: 200, reason: "OK"})
			return
		}
	}
	value := contacts[0].Value
	asked, err := expiry(m, value)
	if err != nil {
		t.violation("REGISTER of %s: %v", user.UserName, err)
		t.respond(f, m, &message{code: 400, reason: "Bad Request"})
		return
	}
	if value == "*" {
		t.unbindAll(f, m, user, asked)
		return
	}
	uri, p := address(value)
	instance := p["+sip.instance"]
	if instance == "" {
		t.strictly("REGISTER of %s: Contact has no +sip.instance", user.UserName)
		instance = uri
	}
	n, _ := m.cseq()
	b := &binding{instance: instance, contact: uri, flow: f, callID: m.get("Call-ID"), cseq: n}
	for _, name := range []string{"reg-id", "+sip.instance"} {
		if v, ok := p[name]; ok && name == "reg-id" {
			b.params += ";reg-id=" + v
		} else if ok {
			b.params += fmt.Sprintf(";+sip.instance=%q", v)
		}
	}
	granted := time.Duration(0)
	if asked > 0 {
		granted = t.cfg.Granted(asked)
	}
	t.commit(f, m, user, b, granted)
}

// commit puts a binding in its place, and answers.
func (t *Trunk) commit(f *flow, m *message, user User, b *binding, granted time.Duration) {
	t.mu.Lock()
	list := t.bindings[user.UserName]
	before := len(list)
	at := slices.IndexFunc(list, func(o *binding) bool { return o.instance == b.instance })
	wrong := ""
	if at >= 0 {
		old := list[at]
		if old.callID == b.callID && b.cseq <= old.cseq {
			t.mu.Unlock()
			t.violation("REGISTER of %s: CSeq %d after %d", user.UserName, b.cseq, old.cseq)
			t.respond(f, m, &message{code: 500, reason: "Server Internal Error"})
			return
		}
		if old.callID != b.callID && old.flow == b.flow {
			wrong = "another Call-ID than the binding's on the same flow" // RFC 3261 section 10.2.4
		}
		list = slices.Delete(list, at, at+1)
	}
	if granted > 0 {
		if t.cfg.MaxBindings > 0 && len(list) >= t.cfg.MaxBindings {
			t.mu.Unlock()
			t.violation("REGISTER of %s: instance %d, at most %d", user.UserName, len(list)+1, t.cfg.MaxBindings)
			t.respond(f, m, &message{code: 603, reason: "Too Many Contacts"})
			return
		}
		b.ends = time.Now().Add(granted)
		list = append(list, b)
	}
	t.setLocked(user.UserName, list)
	t.mu.Unlock()
	if wrong != "" {
		t.strictly("REGISTER of %s: %s", user.UserName, wrong)
	}
	r := &message{code: 200, reason: "OK"}
	for _, o := range list {
		if o.foreign {
			r.add("Contact", fmt.Sprintf("<%s>;expires=%d;q=0", o.contact, int(time.Until(o.ends)/time.Second)))
		}
	}
	if granted > 0 {
		r.add("Contact", fmt.Sprintf("<%s>;expires=%d%s", b.contact, int(granted/time.Second), b.params))
	}
	t.respond(f, m, r)
	t.told(user.UserName, before > 0, len(list) > 0)
}

func (t *Trunk) unbindAll(f *flow, m *message, user User, asked time.Duration) {
	if asked != 0 { // RFC 3261 section 10.2.2
		t.violation("REGISTER of %s: Contact * with Expires %v", user.UserName, asked)
		t.respond(f, m, &message{code: 400, reason: "Bad Request"})
		return
	}
	t.mu.Lock()
	before := len(t.bindings[user.UserName])
	t.setLocked(user.UserName, nil)
	t.mu.Unlock()
	t.respond(f, m, &message{code: 200, reason: "OK"})
	t.told(user.UserName, before > 0, false)
}

func (t *Trunk) setLocked(userName string, list []*binding) {
	if len(list) == 0 {
		delete(t.bindings, userName)
		return
	}
	t.bindings[userName] = list
}

// told reports a change of a user's state.
func (t *Trunk) told(userName string, before, after bool) {
	if before != after {
		t.cfg.Log.Info("device changed", slog.String("user", userName), slog.Bool("online", after))
		t.cfg.OnBinding(userName, after)
	}
}

// expiry is what a REGISTER asks for: its Contact's expires, else the Expires header, else an hour.
func expiry(m *message, contact string) (time.Duration, error) {
	v := m.get("Expires")
	if contact != "*" {
		if _, p := address(contact); p["expires"] != "" {
			v = p["expires"]
		}
	}
	if v == "" {
		return time.Hour, nil
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("expires is %q", v)
	}
	return time.Duration(n) * time.Second, nil
}

func (t *Trunk) expireBindings(now time.Time) {
	var gone []string
	t.mu.Lock()
	for user, list := range t.bindings {
		list = slices.DeleteFunc(list, func(b *binding) bool { return now.After(b.ends) })
		t.setLocked(user, list)
		if len(list) == 0 {
			gone = append(gone, user)
		}
	}
	t.mu.Unlock()
	for _, user := range gone {
		t.told(user, true, false)
	}
}

// newest is the binding that gets the INVITE: the last one registered.
func (t *Trunk) newest(userName string) (b binding, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.bindings[userName]
	if len(list) == 0 {
		return b, false
	}
	return *list[len(list)-1], true
}
