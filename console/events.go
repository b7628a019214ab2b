package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

const (
	// maxWatchers leaves connections for listeners and health checks.
	maxWatchers = maxConns / 4
	// stillThere is how often a client that nothing is told to gets a comment: proxies end what is quiet for a minute.
	stillThere = 15 * time.Second
	// lastWords is how long after a call's end its engines may still tell what they heard.
	lastWords = 15 * time.Second
	// comeBack is when a client whose connection broke is to try again.
	comeBack = 2 * time.Second
)

// watch serves GET /events and GET /calls/{id}/events: server-sent events (WHATWG HTML, section 9.2).
func (c *calls) watch(mux *http.ServeMux, feed *Feed) {
	if feed == nil {
		return
	}
	places := make(chan struct{}, maxWatchers)
	serve := func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			c.events(w, r, feed)
		default:
			w.Header().Set("Retry-After", "5")
			http.Error(w, "too many clients read events", http.StatusServiceUnavailable)
		}
	}
	mux.HandleFunc("GET /events", c.guard(serve))
	mux.HandleFunc("GET /calls/{id}/events", c.guard(serve))
}

// events tells what happens, until the client leaves, or the call has ended and its engines' last words are in. One that reads nothing for answerTimeout is left.
func (c *calls) events(w http.ResponseWriter, r *http.Request, feed *Feed) {
	of := r.PathValue("id")
	n, known := feed.newest(), true
	if of != "" {
		n, known = feed.oldest(of)
	}
	if !known {
		http.Error(w, ErrNoCall.Error()+": "+strconv.Quote(of)+": see /status", http.StatusNotFound)
		return
	}
	s := &eventStream{w: w, control: http.NewResponseController(w), feed: feed}
	if id := lastEventID(r); id != "" {
		var ours bool
		if n, ours = feed.place(id); !ours {
			s.lost = "the last event that you have is another run's: what was between is not known"
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")  // nginx would keep them until they are many
	_ = s.control.SetReadDeadline(time.Time{}) // else the request's own would end it
	fmt.Fprintf(&s.buf, "retry: %d\n\n", comeBack.Milliseconds())
	if err := s.run(r, n, of); err != nil {
		c.log.Debug("client of events lost", attr.Err(err))
	}
}

// lastEventID is the last event that a client has: its browser says so, or, where it can't set a header, the query.
func lastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	return r.URL.Query().Get("last_event_id")
}

// eventStream is one client.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	feed    *Feed
	buf     bytes.Buffer
	lost    string // why nobody knows how many events the client lacks; empty: it is known
}

func (s *eventStream) run(r *http.Request, n uint64, of string) error {
	still := time.NewTicker(stillThere)
	defer still.Stop()
	over := time.NewTimer(lastWords)
	defer over.Stop()
	for {
		list, last, lost, more := s.feed.after(n, of)
		if lost > 0 || s.lost != "" {
			s.tellLost(lost, of)
		}
		for _, x := range list {
			if err := s.add(x); err != nil {
				return err
			}
		}
		if err := s.flush(); err != nil {
			return err
		}
		if last != n { // there may be more already
			n = last
			continue
		}
		if of == "" || s.feed.live(of) {
			over.Reset(lastWords)
		}
		select {
		case <-more:
		case <-still.C:
			s.buf.WriteString(": still there\n\n")
		case <-over.C:
			if of != "" && !s.feed.live(of) {
				return nil
			}
		case <-r.Context().Done():
			return nil
		case <-s.feed.over:
			return nil
		}
	}
}

// tellLost tells a client what it did not get: it was too slow, or away for too long.
func (s *eventStream) tellLost(events uint64, of string) {
	text := s.lost
	if text == "" {
		text = "you are too slow, or were away for too long"
	}
	if of != "" {
		text += "; they are counted of all calls"
	}
	fmt.Fprintf(&s.buf, "event: lost\ndata: {\"events\":%d,\"text\":%q}\n\n", events, text)
	s.lost = ""
}

// add adds an event. JSON has no line break outside of its strings, and none inside.
func (s *eventStream) add(x fed) error {
	b, err := json.Marshal(x.event)
	if err != nil {
		return err
	}
	fmt.Fprintf(&s.buf, "id: %s\nevent: %s\ndata: %s\n\n", s.feed.id(x.n), x.event.Type, b)
	return nil
}

func (s *eventStream) flush() error {
	if s.buf.Len() == 0 {
		return nil
	}
	defer s.buf.Reset()
	if err := s.control.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	return s.control.Flush()
}
