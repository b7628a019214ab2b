package vault_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// TestWhatTheRecorderSealsIsVaulted: signed, in plain or encrypted; the keys stay on the disk.
func TestWhatTheRecorderSealsIsVaulted(t *testing.T) {
	g := serve(t, false)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string][]string{"plain": nil, "encrypted": {id.Recipient().String()}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			v := start(t, config(dir, g.addr))
			store, err := recorder.New(recorder.Config{Dir: dir, Sign: true, Recipients: to, Sealed: v.Sealed})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- store.Run(ctx) }()
			rec, err := store.Open(call.Info{ID: name, Started: began}, recorder.Anchor{Wall: began})
			if err != nil {
				t.Fatal(err)
			}
			rec.AwaitWords()
			rec.Hear(recorder.Line{Samples: 4000, Role: "mix", Consumer: "asr", Text: "hello"})
			rec.Write(&media.Batch{
				Frames: []media.Frame{{Track: 1, Kind: media.KindReceived, Samples: 4000, PCM: make([]int16, 4000)}},
				Tracks: []media.TrackState{{ID: 1, Placed: true, OffsetMethod: media.OffsetArrival, Length: 4000}},
			})
			rec.End(call.Cause{Code: call.CodeHangup})
			<-rec.Sealed()
			if err := rec.Result().Err; err != nil {
				t.Fatal(err)
			}
			folder, err := filepath.Rel(dir, rec.Result().Dir)
			if err != nil {
				t.Fatal(err)
			}
			folder = filepath.ToSlash(folder)
			rec.EndWords() // the transcript comes after the seal, and goes along
			eventually(t, 20*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
			g.whole(t, dir, folder)
			transcript := recorder.TranscriptName
			if to != nil {
				transcript += recorder.EncryptedSuffix
			}
			for _, name := range []string{recorder.SignatureName, transcript} {
				if _, err := os.Stat(filepath.Join(dir, folder, name)); err != nil {
					t.Error(err)
				}
			}
			for key := range g.versions(t, "keys") {
				t.Errorf("a key in the vault: %s", key)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
