package recorder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
)

// ExportConfig says what of a recording is written, and how. The zero value is audio.wav as it is, as PCM, without tags.
type ExportConfig struct {
	// Align has each track lie where the manifest's best knowledge says, by offset and drift, epoch by epoch.
	Align bool
	// Track is a role such as "agent", a track's number, or "mix"; empty: all. Of one or of the mix there is one channel.
	Track string
	// Channels is how many the file has; 0: as the recording, or one of a Track. Of two into one they are summed up.
	Channels int
	// From and To cut the file, in time since the recording's beginning; To 0: its end.
	From, To time.Duration
	// Tags says what the file tells of itself: TagsNone, the default, TagsCall or TagsPeople.
	Tags string
	// Identities are who can read an encrypted recording: one of those that it is encrypted to. Its key has to be where it was written, beside the recordings.
	Identities []Identity
}

// choose applies what the settings say of tracks, channels and time.
func (e *Export) choose(m *Manifest, cfg ExportConfig) error {
	e.Channels = e.layout.channels
	if cfg.Track != "" {
		e.Channels = 1
	}
	if cfg.Channels < 0 || cfg.Channels > 2 {
		return fmt.Errorf("channels: got %d, want 1 or 2", cfg.Channels)
	}
	if cfg.Channels > 0 {
		e.Channels = cfg.Channels
	}
	e.fold = cfg.Track != "" || e.Channels == 1
	if cfg.Track != "" && cfg.Track != call.RoleMix.String() {
		if err := e.only(m, cfg); err != nil {
			return err
		}
	}
	if err := e.cutOut(cfg.From, cfg.To); err != nil {
		return err
	}
	switch cfg.Tags {
	case "", TagsNone:
	case TagsCall, TagsPeople:
		e.tags = m.tags(e, cfg)
	default:
		return fmt.Errorf("tags: got %q, want %s, %s or %s", cfg.Tags, TagsNone, TagsCall, TagsPeople)
	}
	return nil
}

// only leaves the runs of the tracks that are meant.
func (e *Export) only(m *Manifest, cfg ExportConfig) error {
	var ids []uint32
	var there []string
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if t.Channel < 0 || t.OffsetMethod == "" {
			continue
		}
		there = append(there, fmt.Sprintf("%d (%s)", t.ID, t.Role))
		if cfg.Track == t.Role.String() || cfg.Track == strconv.FormatUint(uint64(t.ID), 10) {
			ids = append(ids, t.ID)
		}
	}
	if len(ids) == 0 {
		return fmt.Errorf("track: got %q, want mix, or one that is in the audio: %s", cfg.Track, strings.Join(there, ", "))
	}
	if cfg.Align {
		e.runs = slices.DeleteFunc(e.runs, func(r laid) bool { return !slices.Contains(ids, r.track) })
		return nil
	}
	e.runs = nil
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if !slices.Contains(ids, t.ID) {
			continue
		}
		r := laid{channel: t.Channel, track: t.ID, from: t.OffsetSamples, to: t.OffsetSamples + t.Samples, at: float64(t.OffsetSamples), pace: 1}
		if m.Ended == nil && !t.Ended {
			r.to = e.stored // the manifest of a call that goes on is behind
		}
		r.cutTo(0, e.stored)
		e.runs = append(e.runs, m.uncovered(r, i+1)...)
	}
	for _, r := range e.runs {
		if r.channel >= e.layout.channels {
			return fmt.Errorf("%s: a track on channel %d, %s has %d", ManifestName, r.channel, AudioName, e.layout.channels)
		}
	}
	return nil
}

// cutOut keeps what lies between two moments.
func (e *Export) cutOut(from, to time.Duration) error {
	if from == 0 && to == 0 {
		return nil
	}
	whole := length(e.Samples)
	index := func(d time.Duration) int64 {
		if d >= whole {
			return e.Samples
		}
		return int64(d) * rate / int64(time.Second)
	}
	if to == 0 {
		to = whole
	}
	if from < 0 || from >= to || index(from) >= e.Samples {
		return fmt.Errorf("from and to: got %v and %v, want the first before the second, and both in the recording's %v", from, to, whole)
	}
	e.first = index(from)
	e.Samples = index(to) - e.first
	if e.Samples == 0 {
		return errors.New("from and to: not one sample lies between them")
	}
	return nil
}

// shape makes of a block of audio.wav's channels one of the file's.
func (e *Export) shape(block []byte) []byte {
	le := binary.LittleEndian
	if e.fold && e.layout.channels == 2 {
		n := len(block) / 4
		for i := range n {
			sum := int(int16(le.Uint16(block[4*i:]))) + int(int16(le.Uint16(block[4*i+2:])))
			le.PutUint16(block[2*i:], uint16(int16(max(math.MinInt16, min(math.MaxInt16, sum)))))
		}
		block = block[:2*n]
	}
	if e.Channels == 1 || e.layout.channels == 2 && !e.fold {
		return block
	}
	both := make([]byte, 0, 2*len(block))
	for i := 0; i < len(block); i += 2 {
		both = append(both, block[i], block[i+1], block[i], block[i+1])
	}
	return both
}
