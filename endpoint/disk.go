package endpoint

import (
	"fmt"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// The recorder measures, and here is decided: below record.disk.refuse nothing new is asked for at RingCentral, and an INVITE that nobody
// asked for gets 503. Calls that are heard go on, those that come back too: the room that is left is theirs.

// barredRetry is what a 503 tells the caller to wait.
const barredRetry = time.Minute

// barred says why no new calls are taken; empty: they are.
func (e *Endpoint) barred() string {
	if e.store == nil {
		return ""
	}
	d := e.store.Disk()
	if d.Level != recorder.LevelRefuse {
		return ""
	}
	return fmt.Sprintf("disk nearly full, %s left: make room in record.dir, or lower record.disk.refuse", size(d.Free))
}

// bar refuses an INVITE that would begin a call there is no room for, and leaves a record of the call; nil: it may come in.
func (r *ear) bar(inv *sip.Invitation, p plan, alone bool) error {
	why := r.e.barred()
	if why == "" || len(p.joins) > 0 { // what was asked for, was asked for with room, or by a person
		return nil
	}
	if c := r.e.lookUp(p.info.ID); c != nil && !alone {
		return nil
	}
	info := p.info
	r.e.miss(missedCall{
		call: supervise.Call{Session: info.ID, Since: time.Now()}, plain: &info, caller: callerFacts(inv),
		cause: call.Cause{Code: call.CodeDiskFull, Text: why},
	})
	return &sip.Refusal{Code: 503, Reason: "Service Unavailable", RetryAfter: barredRetry}
}

// lookUp gives a live call by its id, nil if there is none.
func (e *Endpoint) lookUp(id string) *Call {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[id]
}

// diskCheck tells whether calls are being recorded.
func (e *Endpoint) diskCheck(calls []CallStatus) Check {
	d := e.store.Disk()
	c := Check{Name: "disk", OK: true, Text: size(d.Free) + " free"}
	switch {
	case d.Fault != "":
		c.OK, c.Text = false, fmt.Sprintf("recordings can't be written since %s: %s", d.Since.UTC().Format(time.TimeOnly), d.Fault)
	case d.Level == recorder.LevelRefuse:
		c.OK, c.Text = false, "no new calls: "+e.barred()
	case d.Level == recorder.LevelWarn:
		c.Warn, c.Text = true, c.Text+": it fills up, make room in record.dir"
	case d.Free < 0:
		c.Text = "free space not known"
	}
	for _, s := range calls {
		if s.NotRecorded != "" {
			c.OK, c.Text = false, "a call is not recorded: "+s.NotRecorded
		}
	}
	return c
}

// size is a number of bytes for people.
func size(bytes int64) string {
	if bytes < gigabyte {
		return fmt.Sprintf("%d MB", bytes/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/gigabyte)
}
