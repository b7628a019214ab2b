package media

import (
	"encoding/binary"
	"time"
)

const (
	// digitTimeout ends an event whose end packets were lost: RFC 4733 section 2.5.1.2 has updates every 50 ms, and calls
	// three missing ones the end.
	digitTimeout = 300 * time.Millisecond
	// segmentSamples is the longest duration that one segment of an event can tell (RFC 4733 section 2.5.1.3).
	segmentSamples = 0xFFFF
	eventOctets    = 4
)

// digitNames are the events of RFC 4733 section 3.2.
const digitNames = "0123456789*#ABCD"

// eventCodes bounds the events that are told: the digits, and 16, flash.
const eventCodes = 17

// digits puts together the packets of telephone-events: all of one event carry the timestamp of its beginning, and the last
// is sent three times.
//
//	 0                   1                   2                   3
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     event     |E|R| volume    |          duration             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type digits struct {
	any      bool   // an event was ever seen
	active   bool   // and is not told yet
	ended    bool   // though its end came
	ts       uint32 // of its present segment
	code     uint8
	segment  int64 // longest duration told of the present segment
	before   int64 // samples of the segments before
	pos      int64
	began    time.Duration // arrival of its first packet
	arrival  time.Duration // of its newest packet
	finished digit
}

// digit is one event, complete.
type digit struct {
	name    string
	pos     int64
	samples int64
	began   time.Duration // arrival of its first packet
	at      time.Duration // of its newest packet
}

// take reads one event packet whose timestamp lies at pos; true: an event is complete, in d.finished.
//
//earshot:hot
func (d *digits) take(ts uint32, octets []byte, pos int64, arrival time.Duration) (told, ok bool) {
	if len(octets) < eventOctets || octets[0] >= eventCodes {
		return false, false
	}
	code, end, samples := octets[0], octets[1]&0x80 != 0, int64(binary.BigEndian.Uint16(octets[2:]))
	switch {
	case d.any && ts == d.ts && (code == d.code || !d.active):
		if !d.active { // the end, once more
			return false, true
		}
		d.segment = max(d.segment, samples)
	case d.active && code == d.code && ts == d.ts+segmentSamples:
		d.before += segmentSamples
		d.ts, d.segment = ts, samples
	case d.any && int32(ts-d.ts) < 0 && int32(ts-d.ts) > -aheadSamples: // an older event's packet, overtaken
		return false, true
	default:
		told = d.finish()
		*d = digits{any: true, active: true, ts: ts, code: code, segment: samples, pos: pos, began: arrival, finished: d.finished}
	}
	d.arrival = arrival
	if end && !told {
		told = d.finish()
	} else if end { // two at once: the newer one is told at the tick
		d.ended = true
	}
	return told, true
}

// tick ends an event that was not heard of for digitTimeout.
//
//earshot:hot
func (d *digits) tick(now time.Duration) bool {
	return d.active && (d.ended || now-d.arrival > digitTimeout) && d.finish()
}

// finish tells an event that is not told yet.
//
//earshot:hot
func (d *digits) finish() bool {
	if !d.active {
		return false
	}
	d.active = false
	name := "flash"
	if int(d.code) < len(digitNames) {
		name = digitNames[d.code : d.code+1]
	}
	d.finished = digit{name, d.pos, d.before + d.segment, d.began, d.arrival}
	return true
}
