package media

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
)

// mailboxEvents bounds the posts that a shard may be behind with before events are refused. Other posts are always taken:
// they are bounded by the tracks and sinks there are, and one lost would leave a port open or a caller waiting.
const mailboxEvents = 4096

type postKind uint8

const (
	postTimeline postKind = iota + 1
	postOpen
	postCommit
	postEnd
	postAttach
	postDetach
	postEvent
	postHold
	postRelease
	postKeep
	postLeave
	postParty
	postMove
	postClose
)

// post is one thing that is asked of a shard. It takes effect at the next sweep; a commit, and what was asked before it, at once.
type post struct {
	kind   postKind
	line   *liveTimeline
	track  *liveTrack
	agree  *agreement
	party  call.Party
	part   uint16
	seat   *seat
	cause  call.Cause
	event  call.Event
	holder Holder
	why    string
	given  bool // of a leave
	from   time.Duration
	reply  chan Applied
	done   chan struct{}
	round  uint64 // of the shard, in which it was taken
}

// mailbox is what other goroutines and a shard share.
type mailbox struct {
	n    atomic.Int32  // of posts that wait
	wake chan struct{} // holds one: there is something that shouldn't wait for a slow sweep

	mu sync.Mutex
	// mu guards the fields below.
	posts   []post
	dropped int64
	closed  bool
}

// put leaves a post. It never blocks; false: the mailbox is closed, or too full for an event.
func (m *mailbox) put(p post) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	if p.kind == postEvent && len(m.posts) >= mailboxEvents {
		m.dropped++
		p.line.droppedEvents.Add(1)
		return false
	}
	m.posts = append(m.posts, p)
	m.n.Store(int32(len(m.posts)))
	if p.kind != postEvent && p.kind != postParty {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take empties the mailbox into the caller's hands and leaves it spare to fill next; with last no more posts are taken.
func (m *mailbox) take(spare []post, last bool) []post {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.posts
	m.posts = spare[:0]
	m.n.Store(0)
	m.closed = m.closed || last
	return got
}

func (m *mailbox) droppedEvents() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}
