package supervise

import (
	"time"

	"github.com/earshot/earshot/call"
)

// barredAgain is how long a call that is barred waits for another look.
const barredAgain = 2 * time.Second

// barred says why nothing new is to be asked for.
func (s *Supervisor) barred() string {
	if s.cfg.Barred == nil {
		return ""
	}
	return s.cfg.Barred()
}

// bar leaves a call alone that was not heard yet, and tells of it once: RingCentral is not asked for what can't be taken. A call that
// is heard, or was, is joined again all the same: its recording has begun.
func (c *core) bar(now time.Time, s *session) {
	s.hinder(now, c.barred)
	s.roomAt = now.Add(barredAgain)
	if s.cause.Code == call.CodeDiskFull {
		return
	}
	s.cause, s.told = call.Cause{Code: call.CodeDiskFull, Text: c.barred}, true
	c.emit(actFailed{session: s.id, agent: s.agent.Extension, cause: s.cause})
}
