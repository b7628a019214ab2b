package trunk

import (
	"fmt"
	"time"
)

// Take binds another instance to a user, as a second program with the device's credentials would: the newest binding, over
// a connection where nobody answers, until the device registers again or the time is over. It does nothing for a user
// without a binding.
func (t *Trunk) Take(userName string, life time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.bindings[userName]
	if len(list) == 0 {
		return false
	}
	of := list[len(list)-1].flow
	t.bindings[userName] = append(list, &binding{
		instance: "urn:uuid:00000000-0000-4000-8000-000000000bad", foreign: true,
		contact: fmt.Sprintf("sip:%s@198.51.100.7:5060;transport=TLS;ob", userName),
		flow:    &flow{network: of.network, remote: of.remote, local: of.local, closed: true}, ends: time.Now().Add(life),
	})
	return true
}

// Hangup ends all dialogs of a user with a BYE that nothing explains, and tells how many.
func (t *Trunk) Hangup(userName string) int {
	t.mu.Lock()
	var dialogs []*Dialog
	for _, d := range t.dialogs {
		if d.userName == userName && !d.ending && !d.answered.IsZero() {
			dialogs = append(dialogs, d)
		}
	}
	t.mu.Unlock()
	for _, d := range dialogs {
		d.byeSoon("out of nowhere")
	}
	return len(dialogs)
}

// Shun makes the proxy unreachable for a while: all connections are cut, new ones closed at once, datagrams ignored. What
// is bound stays bound.
func (t *Trunk) Shun(life time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shunned = time.Now().Add(life)
	for f := range t.conns {
		f.closed = true
		_ = f.conn.Close()
	}
}

func (t *Trunk) shunning() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.shunned)
}
