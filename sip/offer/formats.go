package offer

import (
	"slices"
	"strconv"
	"strings"
)

// clockRate of every format that we take, in Hz.
const clockRate = "8000"

// Static payload types (RFC 3551 table 4).
const (
	staticPCMU = 0
	staticPCMA = 8
	staticCN   = 13
)

// firstEvent to lastEvent are the DTMF events (RFC 4733 section 3.2), all that we take.
const (
	firstEvent = 0
	lastEvent  = 15
)

// String gives the SDP encoding name.
func (c Codec) String() string {
	switch c {
	case PCMU:
		return "PCMU"
	case PCMA:
		return "PCMA"
	case TelephoneEvent:
		return "telephone-event"
	case ComfortNoise:
		return "CN"
	}
	return ""
}

// audio says whether the codec carries what is heard.
func (c Codec) audio() bool { return c == PCMU || c == PCMA }

// agreed lists the line's formats that we take, in the offer's order. events is the answer's fmtp for telephone-event by
// payload type number.
func (r *remoteLine) agreed(p Policy) (payloads []Payload, events map[uint8]string) {
	events = map[uint8]string{}
	for _, f := range r.formats {
		n, err := strconv.ParseUint(f, 10, 7)
		// 72 to 76 look like RTCP packets (RFC 3551 section 6).
		if err != nil || n >= 72 && n <= 76 {
			continue
		}
		number := uint8(n)
		if slices.ContainsFunc(payloads, func(p Payload) bool { return p.Number == number }) {
			continue
		}
		codec := r.codec(f, number)
		switch {
		case codec == 0, codec.audio() && !p.takes(codec):
			continue
		case codec == TelephoneEvent:
			common := commonEvents(r.fmtp[f])
			if common == "" {
				continue
			}
			events[number] = common
		}
		payloads = append(payloads, Payload{number, codec})
	}
	return payloads, events
}

// codec says what a format of this line is. The line's rtpmap wins over the static number (RFC 3551 section 6), and only
// this line's counts: the same dynamic number may mean something else on the next.
func (r *remoteLine) codec(format string, number uint8) Codec {
	m, ok := r.rtpmap[format]
	if !ok {
		switch number {
		case staticPCMU:
			return PCMU
		case staticPCMA:
			return PCMA
		case staticCN:
			return ComfortNoise
		}
		return 0
	}
	f := strings.Split(m, "/")
	if len(f) < 2 || strings.TrimSpace(f[1]) != clockRate || len(f) > 2 && strings.TrimSpace(f[2]) != "1" {
		return 0
	}
	for _, c := range []Codec{PCMU, PCMA, TelephoneEvent, ComfortNoise} {
		if strings.EqualFold(strings.TrimSpace(f[0]), c.String()) {
			return c
		}
	}
	return 0
}

// firstAudio is the payload type of what we send: the first agreed one that carries audio.
func firstAudio(payloads []Payload) (number uint8, ok bool) {
	for _, p := range payloads {
		if p.Codec.audio() {
			return p.Number, true
		}
	}
	return 0, false
}

// commonEvents gives the part of an fmtp such as "0-15,66,70" that we take too. No fmtp means 0-15 (RFC 4733 section
// 2.4.1), and one that is no list is read as none.
func commonEvents(fmtp string) string {
	all := strconv.Itoa(firstEvent) + "-" + strconv.Itoa(lastEvent)
	var taken [lastEvent + 1]bool
	for part := range strings.SplitSeq(fmtp, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(low, 10, 8)
		to, err2 := strconv.ParseUint(high, 10, 8)
		if err1 != nil || err2 != nil {
			return all
		}
		for n := from; n <= to && n <= lastEvent; n++ {
			taken[n] = true
		}
	}
	return eventList(taken)
}

func eventList(taken [lastEvent + 1]bool) string {
	var parts []string
	for n := 0; n < len(taken); n++ {
		if !taken[n] {
			continue
		}
		end := n
		for end+1 < len(taken) && taken[end+1] {
			end++
		}
		if end > n {
			parts = append(parts, strconv.Itoa(n)+"-"+strconv.Itoa(end))
		} else {
			parts = append(parts, strconv.Itoa(n))
		}
		n = end
	}
	return strings.Join(parts, ",")
}
