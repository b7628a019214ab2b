package recorder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// Shelf reads what a recording has of a voice, while it is written and after, decoded to 16 bit. It holds nothing up: not the worker that writes, and nobody who
// calls Write. One goroutine uses it. A recording that is encrypted is read with its own key, which is in memory while the call lives, and costs a segment of memory until Close.
type Shelf struct {
	// Set by Recording.Shelf, then constant.
	r        *Recording
	track    media.TrackID // 0: the call
	channels int
	role     call.Role

	now   shelved
	raw   []byte // of audio.wav, from an index on
	own   []byte // of a track's octet file
	mono  []int16
	plain plainSegment
	size  int64 // of plain's file when it was decrypted
}

// Shelf opens the recording for a reader: of one track, on its own positions, or with track 0 of the call: on two channels customer left and agent right, on one
// whom role names, or all with RoleMix. It costs nothing until it is read.
func (r *Recording) Shelf(track media.TrackID, channels int, role call.Role) *Shelf {
	return &Shelf{r: r, track: track, channels: channels, role: role}
}

// StoredWithin is how long after its last change audio can be read at the latest, if the disk does what it should: a group sync, and of encrypted audio a chunk, which can be decrypted only as a whole.
func (s *Store) StoredWithin() time.Duration {
	if s.to == nil {
		return s.cfg.Sync
	}
	width := int64(1)
	if s.cfg.Format == FormatWAV {
		width = 2
	}
	return s.cfg.Sync + feedBytes*time.Second/time.Duration(rate*width) // of one channel
}

// Close lets go of what was decrypted. The shelf may be read again.
func (s *Shelf) Close() { s.plain = plainSegment{} }

// Read fills pcm, interleaved, from a position on, with n samples of each channel: those that are there and can't change any more. What was lost, masked or not said is silence.
// With n 0, gone tells how many from there on came and could not be kept, or are nowhere by themselves; with gone 0 too they are not there yet.
func (s *Shelf) Read(pos int64, pcm []int16) (n, gone int) {
	s.r.display.mu.Lock()
	s.r.display.now.copyTo(&s.now)
	s.r.display.mu.Unlock()
	all := len(pcm) / s.channels
	idx, placed, ever := s.index(pos)
	switch {
	case !ever || s.now.shut && (!placed || !s.now.made):
		return 0, all
	case !placed || !s.now.made:
		return 0, 0
	}
	want := int64(all)
	if !s.now.shut {
		want = min(want, s.now.edge-idx)
	}
	if want, gone = s.cut(idx, max(0, want)); want == 0 {
		return 0, gone
	}
	got, err := s.fill(idx, pcm[:want*int64(s.channels)])
	if got == 0 && (s.now.shut || errors.Is(err, fs.ErrNotExist)) {
		return 0, int(want) // somebody took it away, or it can't be read
	}
	return int(got), 0
}

// index is where a position lies in audio.wav. ever: the track is in it, or may be.
func (s *Shelf) index(pos int64) (idx int64, placed, ever bool) {
	if s.track == 0 {
		return pos, true, true
	}
	if int(s.track) > len(s.now.tracks) || !s.now.tracks[s.track-1].placed {
		return 0, false, true
	}
	t := &s.now.tracks[s.track-1]
	return pos + t.offset, true, t.channel >= 0
}

// cut gives how many of n samples from an index on are there, and if none is, how many are not.
func (s *Shelf) cut(idx, n int64) (there int64, gone int) {
	hole := func(from, to int64) {
		switch {
		case n > 0 && from <= idx && to > idx:
			n, gone = 0, int(min(n, to-idx))
		case from > idx:
			n = min(n, from-idx)
		}
	}
	for _, a := range s.now.unkept {
		t := &s.now.tracks[a.track-1]
		if t.placed && t.channel >= 0 && (s.track == 0 || s.track == a.track) {
			hole(a.at.Pos+t.offset, a.at.end()+t.offset)
		}
	}
	if s.track != 0 { // a later track has its channel there
		t := &s.now.tracks[s.track-1]
		for _, o := range s.now.tracks[s.track:] {
			if o.placed && o.channel == t.channel && o.end > o.offset {
				hole(o.offset, o.end)
			}
		}
	}
	return n, gone
}

// fill gives the voice from an index on, and how many samples of each channel could be read.
func (s *Shelf) fill(idx int64, pcm []int16) (int64, error) {
	n, err := s.load(idx, int64(len(pcm)/s.channels))
	if n == 0 {
		return 0, err
	}
	s.mono = slices.Grow(s.mono[:0], int(n))[:n]
	if s.track != 0 {
		return n, s.channel(s.now.tracks[s.track-1].channel, idx, pcm[:n], 1)
	}
	left, right := s.sides()
	switch {
	case s.channels == 2:
		return n, errors.Join(s.channel(left, idx, pcm[:2*n], 2), s.channel(right, idx, pcm[1:2*n], 2))
	case s.role == call.RoleCustomer:
		return n, s.channel(left, idx, pcm[:n], 1)
	case s.role == call.RoleAgent:
		return n, s.channel(right, idx, pcm[:n], 1)
	}
	err = s.channel(left, idx, pcm[:n], 1)
	if right != left {
		other := slices.Clone(pcm[:n])
		err = errors.Join(err, s.channel(right, idx, other, 1))
		for i, v := range other {
			pcm[i] = clip(int(pcm[i]) + int(v))
		}
	}
	return n, err
}

func clip(v int) int16 { return int16(max(-1<<15, min(1<<15-1, v))) }

// sides gives the channels of the customer and the agent.
func (s *Shelf) sides() (left, right int) {
	if s.now.layout.channels == 1 {
		return 0, 0
	}
	var on [2]call.Role
	for i := range s.now.tracks {
		if t := &s.now.tracks[i]; t.channel >= 0 && on[t.channel] == call.RoleUnknown {
			on[t.channel] = t.role
		}
	}
	for ch := range on {
		if on[ch] == call.RoleUnknown && on[1-ch] == call.RoleUnknown {
			on[ch] = s.r.seating.roles[ch]
		}
	}
	if on[0] == call.RoleAgent || on[1] == call.RoleCustomer {
		return 1, 0
	}
	return 0, 1
}

// channel gives one of audio.wav's channels, one sample every stride, with the octets that it has transcoded as they came.
func (s *Shelf) channel(ch int, idx int64, pcm []int16, stride int) error {
	l := s.now.layout
	block, width := int(l.block()), l.bits/8
	n := (len(pcm) + stride - 1) / stride
	for i := range n {
		b := s.raw[i*block+ch*width:]
		if l.tag == tagPCM {
			pcm[i*stride] = int16(uint16(b[0]) | uint16(b[1])<<8)
		} else {
			pcm[i*stride] = l.linear(b[0])
		}
	}
	for i := range s.now.tracks {
		t := &s.now.tracks[i]
		if !t.placed || t.channel != ch {
			continue
		}
		for _, run := range t.runs {
			from, to := max(idx, run.Pos+t.offset), min(idx+int64(n), run.end()+t.offset)
			if err := s.overlay(i, from, to, pcm[min(len(pcm), int(max(0, from-idx))*stride):], stride); err != nil {
				return err
			}
		}
	}
	return nil
}

// linear decodes an octet of the file's law.
func (l wavLayout) linear(o byte) int16 {
	if l.tag == tagAlaw {
		return alawLinear[o]
	}
	return ulawLinear[o]
}

// overlay puts a track's octets over what audio.wav has of them, where no later track has the channel.
func (s *Shelf) overlay(i int, from, to int64, pcm []int16, stride int) error {
	if from >= to {
		return nil
	}
	t := &s.now.tracks[i]
	f, err := s.open(octetsName(media.TrackID(i + 1)))
	if err != nil {
		return err
	}
	defer f.Close()
	s.own = slices.Grow(s.own[:0], int(to-from))[:to-from]
	if err := readFull(f, s.own, t.law.dataAt+from-t.offset); err != nil {
		return err
	}
	for j, o := range s.own {
		at := from + int64(j)
		if !slices.ContainsFunc(s.now.tracks[i+1:], func(o shelvedTrack) bool {
			return o.placed && o.channel == t.channel && at >= o.offset && at < o.end
		}) {
			pcm[j*stride] = t.law.linear(o)
		}
	}
	return nil
}

// open opens a file of the recording, which is sealed at any moment.
func (s *Shelf) open(name string) (*os.File, error) {
	f, err := openFile(s.r.s.root, inDay(s.r.day, s.r.base+partialSuffix, name))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = openFile(s.r.s.root, inDay(s.r.day, s.r.base, name))
	}
	return f, err
}

// load reads audio.wav's octets of n samples from an index on, or fewer; behind its end is silence.
func (s *Shelf) load(idx, n int64) (int64, error) {
	l := s.now.layout
	block := l.block()
	have := min(max(s.now.length-idx, 0), n)
	s.raw = slices.Grow(s.raw[:0], int(n*block))[:n*block]
	for i := range s.raw[have*block:] {
		s.raw[have*block+int64(i)] = l.quiet()
	}
	if have == 0 {
		return n, nil
	}
	if s.r.key != nil {
		got, err := s.decrypt(s.raw[:have*block], idx*block)
		if got < have*block {
			return got / block, err
		}
		return n, nil
	}
	f, err := s.open(AudioName)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := readFull(f, s.raw[:have*block], l.dataAt+idx*block); err != nil {
		return 0, err
	}
	return n, nil
}

// decrypt fills b from an octet of the audio on, as far as the segments on disk go.
func (s *Shelf) decrypt(b []byte, at int64) (n int64, err error) {
	per := segmentSamples * s.now.layout.block()
	for n < int64(len(b)) {
		plain, err := s.segment(int((at+n)/per)+1, per)
		if from := (at + n) % per; err == nil && from < int64(len(plain)) {
			n += int64(copy(b[n:], plain[from:]))
			continue
		}
		return n, err
	}
	return n, nil
}

// segment decrypts one, as far as it goes: what can't be authenticated yet, since it is being written, is left out.
func (s *Shelf) segment(n int, per int64) ([]byte, error) {
	f, err := s.open(segmentName(s.now.layout.format(), n))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if s.plain.n == n && s.size == st.Size() {
		return s.plain.b, nil
	}
	r, err := age.Decrypt(f, s.r.key.id)
	if err != nil {
		return nil, fmt.Errorf("segment %d: %w", n, err)
	}
	if int64(cap(s.plain.b)) < per {
		s.plain.b = make([]byte, per)
	}
	got, _ := io.ReadFull(r, s.plain.b[:per]) // age gives only what is authentic
	s.plain, s.size = plainSegment{n, s.plain.b[:got]}, st.Size()
	return s.plain.b, nil
}
