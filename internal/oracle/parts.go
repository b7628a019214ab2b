package oracle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

// Parts gives the recordings of one call, in order, and holds the chain of their hashes against the files.
func Parts(t TB, dir, call string) []Recording {
	t.Helper()
	var out []Recording
	for _, r := range All(t, dir) {
		if r.Call.ID == call {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Recording) int { return cmp.Compare(a.Part, b.Part) })
	for i, r := range out {
		if r.State != "no_media" {
			compareChannels(t, r)
		}
		switch {
		case r.Part != i+1:
			t.Errorf("call %s: folder %d is part %d", call, i+1, r.Part)
		case i == 0 && r.Previous != nil:
			t.Errorf("call %s: part 1 follows %s", call, r.Previous.Folder)
		case i > 0 && (r.Previous == nil || !strings.HasSuffix(filepath.ToSlash(out[i-1].Dir), r.Previous.Folder)):
			t.Errorf("call %s: part %d names %+v as the one before, want %s", call, r.Part, r.Previous, out[i-1].Dir)
		case i > 0 && r.Previous.SHA256 != manifestHash(t, out[i-1].Dir):
			t.Errorf("call %s: part %d: hash of the part before is %q, not the file's", call, r.Part, r.Previous.SHA256)
		}
	}
	return out
}

// compareChannels wants the tracks of each channel, and what is said of the stretches between them, to cover it from beginning
// to end; two streams need not begin or end in the same second.
func compareChannels(t TB, r Recording) {
	t.Helper()
	const second = 8000
	type stretch struct{ from, to int64 }
	for ch, role := range r.Channels {
		var on []stretch
		silent := false
		for _, k := range r.Tracks {
			if k.Channel == ch && len(k.Epochs) > 0 {
				on = append(on, stretch{k.Offset, k.Offset + k.Samples})
			}
		}
		for _, x := range slices.Concat(r.Gaps, r.Missing) {
			if x.Channel == nil || *x.Channel != ch {
				continue
			}
			if silent = silent || x.What == "stream"; x.What != "gap" {
				continue
			}
			for _, o := range on {
				if x.Pos < o.to && o.from < x.Pos+x.Samples {
					t.Errorf("%s: gap %+v lies where a track or another gap is, %d to %d", r.Dir, x, o.from, o.to)
				}
			}
			on = append(on, stretch{x.Pos, x.Pos + x.Samples})
		}
		slices.SortFunc(on, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
		at := int64(0)
		for _, o := range append(on, stretch{r.Samples, r.Samples}) {
			edge := at == 0 || o.from == r.Samples
			if n := o.from - at; n > 0 && (!edge || n >= second) && !silent {
				t.Errorf("%s: channel %s: nothing is said of %d samples from %d on", r.Dir, role, n, at)
			}
			at = max(at, o.to)
		}
	}
}

func manifestHash(t TB, dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "recording.json"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// CompareParts holds all that was sent in a call, in whatever sessions, against its parts: each stream is in one of them,
// whole, and there is nothing else.
func CompareParts(t TB, name string, streams []ringsim.Stream, parts []Recording, l Limits) {
	t.Helper()
	spoken := slices.DeleteFunc(slices.Clone(streams), func(s ringsim.Stream) bool { return len(delivered(s, l.Until)) == 0 })
	in := make([][]ringsim.Stream, len(parts))
	for _, s := range spoken {
		found := 0
		for i, r := range parts {
			if _, ok := trackOf(s, r); ok {
				in[i] = append(in[i], s)
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s: a stream of %s with SSRC %d is in %d of %d parts", name, s.Role, s.Sent()[0].SSRC, found, len(parts))
		}
	}
	for i, r := range parts {
		r.Tracks = slices.DeleteFunc(slices.Clone(r.Tracks), func(k Track) bool { return len(k.Epochs) == 0 })
		Compare(t, name+" part "+string(rune('0'+r.Part)), in[i], r, l)
	}
}

// CompareMoved holds a stream that went on in another part against both: each delivered sample is in one of them, and the
// second begins with the sample after the first one's last.
func CompareMoved(t TB, name string, s ringsim.Stream, a, b Recording) {
	t.Helper()
	first, ok1 := trackOf(s, a)
	second, ok2 := trackOf(s, b)
	if !ok1 || !ok2 {
		t.Errorf("%s: the stream of %s is not in both parts", name, s.Role)
		return
	}
	if at := first.Epochs[0].Timestamp + uint32(first.Samples); second.Epochs[0].Timestamp != at || second.Epochs[0].Pos != 0 {
		t.Errorf("%s: the second part begins at timestamp %d, the first ends at %d", name, second.Epochs[0].Timestamp, at)
	}
	var y tally
	for _, p := range delivered(s, time.Time{}) {
		pos, _ := first.place(p)
		for n := range int64(p.Octets) {
			k, r, at := first, a, pos+n
			if at >= first.Samples {
				k, r, at = second, b, at-first.Samples
			}
			y.look(r.PCM[k.Channel], at+k.Offset, Decode(s.Law(), s.Source.Octet(s.Law(), p.Pos+n)))
		}
	}
	y.report(t, name)
	end := a.Started.Add(time.Duration(first.Offset+first.Samples) * time.Second / 8000)
	begin := b.Started.Add(time.Duration(second.Offset) * time.Second / 8000)
	if d := begin.Sub(end); d < -time.Millisecond || d > time.Millisecond {
		t.Errorf("%s: the parts are %v apart, want none", name, d)
	}
}
