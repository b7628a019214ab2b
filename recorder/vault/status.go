package vault

import (
	"sync/atomic"
	"time"
)

// Status is a vault at a glance: plain data for people and programs.
type Status struct {
	Bucket string `json:"bucket"`
	// Queued recordings wait or are on their way; Oldest is when the oldest one began.
	Queued int       `json:"queued"`
	Oldest time.Time `json:"oldest,omitzero"`
	// Since the start:
	Vaulted     int64           `json:"vaulted"`
	SentBytes   int64           `json:"sent_bytes"`
	ReadBytes   int64           `json:"read_bytes"`        // read back to make sure
	ResumedPart int64           `json:"resumed"`           // parts that were not sent again
	Failures    map[Cause]int64 `json:"failures"`          // tries that failed
	Erased      int64           `json:"erased"`            // recordings taken out of the vault
	Trouble     Cause           `json:"trouble,omitempty"` // what keeps everything out
	Text        string          `json:"text,omitempty"`
	Hint        string          `json:"hint,omitempty"`
	Since       time.Time       `json:"since,omitzero"`
	Next        time.Time       `json:"next_try,omitzero"`
}

type counters struct {
	vaulted, sent, readBack, resumed, erased atomic.Int64
	failures                                 [10]atomic.Int64 // by causes()
}

func (c *counters) failed(cause Cause) {
	for i, k := range causes() {
		if k == cause {
			c.failures[i].Add(1)
		}
	}
}

// Status gives what is known, without asking the server or the disk.
func (v *Vault) Status() Status {
	q := v.box.Stats()
	c := &v.count
	s := Status{
		Bucket: v.cfg.Bucket, Queued: q.Length + len(v.sealed), Oldest: q.Oldest, Vaulted: c.vaulted.Load(), SentBytes: c.sent.Load(),
		ReadBytes: c.readBack.Load(), ResumedPart: c.resumed.Load(), Erased: c.erased.Load(), Failures: map[Cause]int64{}, Next: q.Next,
	}
	for i, k := range causes() {
		s.Failures[k] = c.failures[i].Load()
	}
	v.mu.Lock()
	s.Trouble, s.Text, s.Since = v.trouble, v.text, v.since
	v.mu.Unlock()
	if s.Trouble != "" {
		s.Hint = s.Trouble.hint()
	}
	return s
}
