package supervise

import (
	"log/slog"
	"time"
)

// FeedState says how calls become known.
type FeedState string

// The states of the event feed.
const (
	FeedOff     FeedState = "off"     // not wanted, or no agents
	FeedNone    FeedState = "none"    // the server has none: presence only
	FeedDown    FeedState = "down"    // not connected: presence only
	FeedPartial FeedState = "partial" // RingCentral refused some filters: those agents' calls are found by presence
	FeedLive    FeedState = "live"
	FeedSilent  FeedState = "silent" // connected, but presence shows calls that it did not tell of
)

// FeedStatus is how the event feed does.
type FeedStatus struct {
	State     FeedState
	Since     time.Time // when the subscription was made, or the feed lost
	Account   bool      // one filter for the whole account, instead of one per agent
	Filters   int
	Disabled  []string // filters that RingCentral refused, with its reason
	Events    int64    // since the start
	Stale     int64    // of these: repeated, or older than what was known
	Unread    int64    // messages that could not be read
	LastEvent time.Time
}

// healthy says whether calls become known by events, so that presence is needed as a check only.
func (f FeedState) healthy() bool { return f == FeedLive }

// feedState notes what the feed does.
func (s *Supervisor) feedState(st FeedStatus) {
	if st.State == "" {
		st.State = FeedOff
	}
	s.change(func(now time.Time) {
		s.feedStatus = st
		s.core.fed(now, st.State.healthy(), st.Account)
	})
	s.hurry()
}

// lookNow asks for a look at presence out of turn.
func (s *Supervisor) lookNow() {
	s.mu.Lock()
	if s.lookWanted.IsZero() {
		s.lookWanted = time.Now()
	}
	s.mu.Unlock()
	s.hurry()
}

// notified gives an event to the core.
func (s *Supervisor) notified(ev sessionEvent) {
	if ev.session == "" || len(ev.parties) == 0 {
		return
	}
	s.change(func(now time.Time) {
		if s.onEvent != nil {
			s.onEvent(ev)
		}
		s.core.event(now, ev)
	})
}

// feedSilent tells, once a while, of a feed that does not bring what it should; missed 0: it does again.
func (s *Supervisor) feedSilent(missed int) {
	s.mu.Lock()
	was := s.feedStatus.State
	if missed > 0 && was == FeedLive {
		s.feedStatus.State = FeedSilent
	} else if missed == 0 && was == FeedSilent {
		s.feedStatus.State = FeedLive
	}
	s.mu.Unlock()
	s.hurry()
	if missed == 0 {
		return
	}
	s.log.say(slog.LevelWarn, "feed silent", "event feed silent", slog.Int("calls", missed),
		slog.String("hint", "presence shows calls that no event told of: does the app have the CallControl scope, and may the supervisor see the agents' calls?"))
}
