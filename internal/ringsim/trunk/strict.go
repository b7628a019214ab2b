package trunk

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// checkHead looks at the headers of a 200 to INVITE, in the strict form of the fact sheet.
func (d *Dialog) checkHead(m *message) {
	uri, _ := address(m.get("Contact"))
	d.t.mu.Lock()
	before := tag(d.remote)
	d.t.mu.Unlock()
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{tag(m.get("To")) == "", "200 has no To tag"},
		{before != "" && before != tag(m.get("To")), "To tag changed within the dialog"},
		{tag(m.get("From")) != d.localTag, "200 does not copy From"},
		{uri != d.contact, "Contact " + uri + " differs from the REGISTER's " + d.contact},
		{!m.counted, "200 has no Content-Length"},
		{m.get("Allow") == "", "200 has no Allow"},
		{len(m.all("Via")) != 1, "200 does not copy Via"},
		{len(m.body) > 0 && !strings.EqualFold(m.get("Content-Type"), "application/sdp"), "200 has Content-Type " + m.get("Content-Type")},
	} {
		if c.wrong {
			d.t.strictly("%s: %s", d.name, c.text)
		}
	}
	d.checkTimer(m)
}

// checkTimer is RFC 4028 sections 7.2 and 9. A 200 without a session timer is tolerated.
func (d *Dialog) checkTimer(m *message) {
	interval, refresher := sessionExpires(m)
	required := has(m.get("Require"), "timer")
	offered := d.in.SessionExpires > 0 && has(d.in.Supported, "timer")
	switch {
	case interval == 0 && required:
		d.t.strictly("%s: Require: timer without Session-Expires", d.name)
	case interval == 0:
	case !offered && required:
		d.t.strictly("%s: Require: timer, but the INVITE did not support it", d.name)
	case d.in.SessionExpires > 0 && (interval > d.in.SessionExpires || interval < min(minSE, d.in.SessionExpires)):
		d.t.strictly("%s: Session-Expires %v answered with %v", d.name, d.in.SessionExpires, interval)
	case offered && refresher != d.in.Refresher:
		d.t.strictly("%s: refresher=%s answered with %q", d.name, d.in.Refresher, refresher)
	case offered && refresher == "uac" && !required:
		d.t.strictly("%s: refresher=uac without Require: timer", d.name)
	}
}

// sessionExpires reads the header, zero where there is none.
func sessionExpires(m *message) (time.Duration, string) {
	v := m.get("Session-Expires")
	number, _, _ := strings.Cut(v, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 31)
	if err != nil {
		return 0, ""
	}
	return time.Duration(n) * time.Second, params(v)["refresher"]
}

// checkVersion compares the device's SDP with its last one: same version means the same SDP, another one means a change
// (RFC 3264 section 8), and the o= id stays.
func (d *Dialog) checkVersion(s *session, body []byte) {
	d.t.mu.Lock()
	before := d.theirs
	d.theirs = bytes.Clone(body)
	d.t.mu.Unlock()
	if before == nil {
		return
	}
	old, err := parseSDP(before)
	if err != nil {
		return
	}
	same := bytes.Equal(before, body)
	switch {
	case s.id != old.id:
		d.t.strictly("%s: o= id changed from %s to %s", d.name, old.id, s.id)
	case s.version == old.version && !same:
		d.t.strictly("%s: SDP changed, but o= version %s did not", d.name, s.version)
	case s.version != old.version && bytes.Equal(bytes.Replace(before, []byte(old.version), []byte(s.version), 1), body):
		d.t.strictly("%s: o= version changed from %s to %s, but nothing else did", d.name, old.version, s.version)
	}
}

// checkKeys wants a key of its own for each dialog and line, RFC 4568 section 6.1.
func (d *Dialog) checkKeys(outcome []agreed) {
	for i, a := range outcome {
		if a.reply == nil {
			continue
		}
		key, place := hex.EncodeToString(a.reply), d.name+", m-line "+strconv.Itoa(i+1)
		d.t.mu.Lock()
		other := d.t.keys[key]
		if len(d.t.keys) < 1<<16 && other == "" {
			d.t.keys[key] = place
		}
		d.t.mu.Unlock()
		if other != "" && other != place {
			d.t.strictly("%s: SDES key was used in %s already", place, other)
		}
	}
}
