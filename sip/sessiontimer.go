package sip

import (
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// minSE is the smallest session interval that we take, in seconds (RFC 4028 section 5).
const minSE = 90

// sessionTimer is what was agreed about refreshing a dialog (RFC 4028). The zero value: nothing.
type sessionTimer struct {
	seconds int  // interval; 0: no timer
	ours    bool // we refresh
	peer    bool // the peer knows the extension
	floor   int  // the largest Min-SE that a 422 to a request of ours told; 0: none did
}

// maxSE bounds what a 422 may raise the interval to, in seconds: a dead dialog must be found in our time.
const maxSE = 24 * 60 * 60

// raised takes the Min-SE of a 422 to our re-INVITE (RFC 4028 section 7.4); false if it asks for nothing more.
func (t sessionTimer) raised(res headerer) (sessionTimer, bool) {
	n, ok := seconds(value(res, "Min-SE"))
	least := int(n / time.Second)
	if !ok || t.seconds == 0 || least <= t.seconds || least > maxSE {
		return t, false
	}
	t.seconds, t.floor = least, least
	return t, true
}

// readSessionExpires reads Session-Expires or its compact form x; 0 without it.
func readSessionExpires(m headerer) (secs int, refresher string) {
	v := value(m, "Session-Expires", "x")
	num, params, _ := strings.Cut(v, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(num), 10, 31)
	if err != nil {
		return 0, ""
	}
	for p := range strings.SplitSeq(params, ";") {
		k, val, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(k), "refresher") {
			refresher = strings.ToLower(strings.TrimSpace(val))
		}
	}
	if refresher != "uac" && refresher != "uas" {
		refresher = ""
	}
	return int(n), refresher
}

// offeredTimer answers what a request of the peer offers (RFC 4028 section 9). ok is false for an interval below ours: 422.
func offeredTimer(req headerer) (t sessionTimer, ok bool) {
	for _, s := range append(listed(req, "Supported", "k"), listed(req, "Require")...) {
		t.peer = t.peer || s == "timer"
	}
	secs, refresher := readSessionExpires(req)
	if secs == 0 {
		return t, true
	}
	if secs < minSE {
		if t.peer {
			return t, false
		}
		secs = minSE // one who does not know the extension can't be asked; a proxy wrote it
	}
	t.seconds = secs
	// Prefer the caller: it refreshes what it wants to keep.
	t.ours = refresher == "uas" || !t.peer
	return t, true
}

// headers are those of our 2xx, as name, value, ...
func (t sessionTimer) headers() []string {
	if t.seconds == 0 {
		return nil
	}
	who := "uac"
	if t.ours {
		who = "uas"
	}
	h := []string{"Session-Expires", strconv.Itoa(t.seconds) + ";refresher=" + who}
	if t.peer {
		h = append(h, "Require", "timer")
	}
	return h
}

// requestHeaders are those of a re-INVITE of ours: the roles stay as they were.
func (t sessionTimer) requestHeaders() []string {
	if t.seconds == 0 {
		return nil
	}
	who := "uas"
	if t.ours {
		who = "uac"
	}
	return []string{"Session-Expires", strconv.Itoa(t.seconds) + ";refresher=" + who, "Min-SE", strconv.Itoa(max(minSE, t.floor))}
}

// answered takes what a 2xx to our re-INVITE says; nothing said leaves it as it was.
func (t sessionTimer) answered(res *gosip.Response) sessionTimer {
	secs, refresher := readSessionExpires(res)
	if secs < minSE {
		return t
	}
	t.seconds = secs
	if refresher != "" {
		t.ours = refresher == "uac"
	}
	return t
}

// due is when we act, counted from the last refresh: at half the interval if we refresh; else shortly before it ends, for
// by then the peer has forgotten us (RFC 4028 section 10). 0: never.
func (t sessionTimer) due(second time.Duration) time.Duration {
	whole := time.Duration(t.seconds) * second
	if t.ours {
		return whole / 2
	}
	return whole - min(32*second, whole/3)
}

// whole is the interval.
func (t sessionTimer) whole(second time.Duration) time.Duration {
	return time.Duration(t.seconds) * second
}
