package vcon

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

const (
	maxLineBytes = 64 << 10
	maxHistory   = 10_000
)

// presence is what is known of a party while its history is read.
type presence struct {
	tracks      map[uint32]bool // that are up
	held, muted bool
}

// historian turns events into what became of the parties. Only changes are told.
type historian struct {
	b    *builder
	who  map[int]*presence
	out  []History
	mask bool // all are masked
}

// history reads events.jsonl.
func (b *builder) history(events io.Reader) ([]History, error) {
	if events == nil {
		return nil, nil
	}
	h := &historian{b: b, who: map[int]*presence{}}
	r := bufio.NewReaderSize(events, maxLineBytes)
	for {
		line, err := r.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) { // longer than any line of ours
			line = nil
			_, err = r.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return h.out, nil // without a line end it is torn
		}
		if err != nil {
			return nil, fmt.Errorf("vcon: events.jsonl: %w", err)
		}
		var e event
		if json.Unmarshal(line, &e) == nil && !e.Time.IsZero() {
			h.take(e)
		}
	}
}

func (h *historian) take(e event) {
	switch e.Type {
	case "track_started":
		if i, ok := h.b.tracks[e.Track]; ok {
			p := h.of(i)
			if len(p.tracks) == 0 {
				h.say(i, e.Time, "join")
				if h.mask && !p.muted {
					p.muted = true
					h.say(i, e.Time, "mute")
				}
			}
			p.tracks[e.Track] = true
		}
	case "track_ended":
		if i, ok := h.b.tracks[e.Track]; ok && h.of(i).tracks[e.Track] {
			delete(h.of(i).tracks, e.Track)
			if len(h.of(i).tracks) == 0 {
				h.say(i, e.Time, "drop")
			}
		}
	case "hold", "resume":
		if i, ok := h.b.tracks[e.Track]; ok {
			h.hold(i, e.Time, e.Type == "hold")
		}
	case "agent_holds", "agent_talks":
		if i, ok := h.b.parties["id "+e.PartyID]; ok && e.PartyID != "" {
			h.hold(i, e.Time, e.Type == "agent_holds")
		}
	case "mask_on", "mask_off":
		h.masked(e)
	}
}

func (h *historian) hold(i int, at time.Time, on bool) {
	if p := h.of(i); p.held != on {
		p.held = on
		h.say(i, at, map[bool]string{true: "hold", false: "unhold"}[on])
	}
}

// masked tells of one party, or of all that are there.
func (h *historian) masked(e event) {
	on := e.Type == "mask_on"
	list := slices.Sorted(maps.Keys(h.who))
	if i, ok := h.b.tracks[e.Track]; e.Track != 0 {
		if !ok {
			return
		}
		list = []int{i}
	} else {
		h.mask = on
	}
	for _, i := range list {
		if p := h.of(i); p.muted != on {
			p.muted = on
			h.say(i, e.Time, map[bool]string{true: "mute", false: "unmute"}[on])
		}
	}
}

func (h *historian) of(i int) *presence {
	p := h.who[i]
	if p == nil {
		p = &presence{tracks: map[uint32]bool{}}
		h.who[i] = p
	}
	return p
}

func (h *historian) say(i int, at time.Time, what string) {
	if len(h.out) < maxHistory {
		h.out = append(h.out, History{i, at.UTC(), what})
	}
}
