package recorder

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// TestAManifestNamesOctetsThatAreDurable: the file system was made durable before these octets were written, and a manifest is due.
func TestAManifestNamesOctetsThatAreDurable(t *testing.T) {
	s, err := New(Config{Dir: t.TempDir(), Format: FormatMulaw})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the folder goes with it
	r, err := s.Open(call.Info{ID: "octets", Expected: []call.Party{{ID: "a"}, {ID: "b"}}}, Anchor{Wall: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	octets := make([]byte, 160)
	r.Write(&media.Batch{
		Frames: []media.Frame{
			{Track: 1, Kind: media.KindReceived, Law: media.LawPCMU, Samples: 160, Octets: octets},
			{Track: 2, Kind: media.KindReceived, Law: media.LawPCMA, Samples: 160, Octets: octets},
		},
		Tracks: []media.TrackState{{ID: 1, Placed: true, Party: call.Party{ID: "a"}}, {ID: 2, Placed: true, Party: call.Party{ID: "b"}}},
	})
	s.process(r, newKit(), true, time.Now())
	k := r.w.tracks[1].octets
	if k == nil || r.w.shown.samples != 320 {
		t.Fatalf("octets: got %v; the manifest has %d samples, want 320", k, r.w.shown.samples)
	}
	if k.img.headed != 160 {
		t.Errorf("audio-2.wav: its header promises %d octets, want 160: the manifest says that they were received", k.img.headed)
	}
}
