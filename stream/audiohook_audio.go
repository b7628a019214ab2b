package stream

import (
	"errors"
	"fmt"
	"time"
)

var errNoPong = errors.New("no \"pong\" in the time between two \"ping\"")

// hookGap says what of the audio is not given.
type hookGap struct {
	Start     string `json:"start"`
	Discarded string `json:"discarded"`
}

// hold has somebody pause the stream, or not any more, and tells the server if that changes something.
func (h *hook) hold(who uint8, on bool) (told bool) {
	before := h.holds
	if on {
		h.holds |= who
	} else {
		h.holds &^= who
	}
	switch {
	case before == 0 && h.holds != 0:
		h.paused = h.position
		h.say("paused", none)
		return true
	case before != 0 && h.holds == 0:
		h.say("resumed", hookGap{hookDuration(h.paused), hookDuration(h.position - h.paused)})
		return true
	}
	return false
}

// audio takes interleaved octets from a position on. Where masks say so they are not sent: the server is told of a pause, which is what it is. What b holds must stay until
// out is sent.
func (h *hook) audio(pos int64, b []byte, masks []stretch) {
	h.octets = h.octets[:0]
	n := int64(len(b) / h.group)
	if pos > h.position { // the ring lost it
		h.skip(pos)
	}
	for n > 0 {
		masked, run := maskAt(masks, h.position, n)
		h.hold(byMask, masked)
		if early := h.discard - h.position; early > 0 {
			run = min(run, early)
		}
		if h.discard > h.position && h.holds == 0 {
			h.withhold(run)
			h.skip(h.position + run)
		} else {
			h.give(b[:run*int64(h.group)], run)
		}
		b, n = b[run*int64(h.group):], n-run
	}
}

// maskAt tells whether a position is masked, and for how many samples that holds, up to n.
func maskAt(masks []stretch, pos, n int64) (masked bool, run int64) {
	for _, m := range masks {
		switch {
		case m.to <= pos:
		case m.from <= pos:
			return true, min(n, m.to-pos)
		default:
			return false, min(n, m.from-pos)
		}
	}
	return false, n
}

// skip goes to a later position; what lies between is told as discarded, or belongs to the pause.
func (h *hook) skip(to int64) {
	if h.holds == 0 && h.state == hookOpen {
		h.say("discarded", hookGap{hookDuration(h.position), hookDuration(to - h.position)})
	}
	h.position = to
}

// give sends n samples, or counts what the server does not want.
func (h *hook) give(b []byte, n int64) {
	switch {
	case h.holds&byMask != 0 && h.holds&byServer == 0:
	case h.state != hookOpen || h.holds != 0 || len(h.wants) == 0:
		h.withhold(n)
	default:
		from := len(h.octets)
		if len(h.wants) == h.group {
			h.octets = append(h.octets, b...)
		} else {
			for i := h.wants[0]; i < len(b); i += h.group {
				h.octets = append(h.octets, b[i])
			}
		}
		h.out = append(h.out, hookOut{audio: h.octets[from:]})
	}
	h.position += n
}

// withhold counts what the server did not want, from the position on.
func (h *hook) withhold(n int64) {
	h.unsent.add(h.position, n)
}

// takeUnsent gives what the server did not want since it was last asked, once that is over; last: also if it is not.
func (h *hook) takeUnsent(last bool) (d drops) {
	if wanted := h.state == hookOpen && h.holds&byServer == 0 && len(h.wants) > 0 && h.position >= h.discard; wanted || last {
		d, h.unsent = h.unsent, drops{}
	}
	return d
}

// look sends a ping when it is time; an error if the last was not answered.
func (h *hook) look(now time.Duration) error {
	if h.state != hookOpen || now < h.ping {
		return nil
	}
	if h.pinged != 0 {
		_ = h.fatal(408, errNoPong.Error())
		return fmt.Errorf("audiohook: %w", errNoPong)
	}
	var parameters struct {
		RTT string `json:"rtt,omitempty"`
	}
	if h.rtt > 0 {
		parameters.RTT = hookTime(h.rtt)
	}
	h.say("ping", parameters)
	h.pinged, h.pingedAt, h.ping = h.seq, now, now+hookPingEvery
	return nil
}
