package oracle

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
