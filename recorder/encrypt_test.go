package recorder_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// newIdentity makes somebody who may read.
func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// decrypted gives a file's plaintext; of one that was cut off what age gives of it.
func decrypted(t *testing.T, file string, id age.Identity) ([]byte, error) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := age.Decrypt(f, id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// joined does what docs/evidence.md tells to do: the header and the decrypted segments, joined. It gives the folder in which
// the audio.wav is that comes of it.
func joined(t *testing.T, store, folder string, id age.Identity) (string, error) {
	t.Helper()
	m, err := recorder.ReadManifest(folder)
	if err != nil {
		t.Fatal(err)
	}
	if m.Encryption == nil {
		t.Fatalf("%s: the manifest says nothing of encryption", folder)
	}
	text, err := decrypted(t, filepath.Join(store, m.Encryption.Key), id)
	if err != nil {
		t.Fatalf("%s: %v", m.Encryption.Key, err)
	}
	key, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadFile(filepath.Join(folder, recorder.HeadName))
	if err != nil {
		t.Fatal(err)
	}
	segments, _ := filepath.Glob(filepath.Join(folder, "audio-*.age"))
	var torn error
	for _, s := range segments {
		if torn != nil {
			t.Errorf("%s: follows one that is torn: %v", s, torn)
		}
		var plain []byte
		plain, torn = decrypted(t, s, key[0])
		all = append(all, plain...)
	}
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, recorder.AudioName), all, 0o600); err != nil {
		t.Fatal(err)
	}
	return out, torn
}

// hear writes so many seconds of two talkers, or of one, with all that media may say of them, as life brings them.
func hear(r *recorder.Recording, seconds int, talkers ...*talker) {
	for i := range seconds * 5 {
		var frames []media.Frame
		for _, k := range talkers {
			switch {
			case i%50 == 7:
				frames = append(frames, k.frame(media.KindLost, 320), k.frame(media.KindReceived, 1280))
			case i%50 == 12:
				hole := int64(len(k.kinds)) - 5*1600 // of a second ago
				frames = append(frames, k.frame(media.KindReceived, 1600), k.behind(media.KindLate, hole, 160))
			case i%50 == 21:
				frames = append(frames, k.frame(media.KindGap, 1600))
			default:
				frames = append(frames, k.speaks(10)...)
			}
		}
		r.Write(batch(time.Duration(i+1)*200*time.Millisecond, frames, talkers...))
		if i%5 == 4 {
			waitTaken(r)
		}
	}
}

// waitTaken waits until a worker has taken what was written: in life that is a second, and the buffer holds eight.
func waitTaken(r *recorder.Recording) {
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !r.Taken() && time.Now().Before(deadline) {
		<-tick.C
	}
}

func pair() []*talker {
	return []*talker{newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 400)}
}

func TestEncryptedAudioIsByteForByteWhatThePlainFileWouldBe(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	for _, c := range []struct {
		name, format string
		info         call.Info
		talkers      func() []*talker
		seconds      int
	}{
		{"stereo PCM, three segments", recorder.FormatWAV, stereoInfo("c"), pair, 130},
		{"stereo mu-law", recorder.FormatMulaw, stereoInfo("c"), pair, 70},
		{"mono mu-law of odd length", recorder.FormatMulaw, monoInfo("c"), func() []*talker { return []*talker{newTalker(1, call.RoleMix, 1)} }, 61},
		{"mono A-law", recorder.FormatMulaw, monoInfo("c"), func() []*talker {
			k := newTalker(1, call.RoleMix, 0)
			k.Law = media.LawPCMA
			return []*talker{k}
		}, 3},
		{"shorter than what is open", recorder.FormatWAV, stereoInfo("c"), pair, 1},
		{"a segment to the sample", recorder.FormatWAV, monoInfo("c"), func() []*talker { return []*talker{newTalker(1, call.RoleMix, 0)} }, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "recordings")
			plain, _ := start(t, recorder.Config{Format: c.format})
			sealed, _ := start(t, recorder.Config{Dir: dir, Format: c.format, Recipients: []string{id.Recipient().String()}, Sign: true})
			var folders [2]string
			var manifests [2]*recorder.Manifest
			for i, s := range []*recorder.Store{plain, sealed} {
				r := open(t, s, c.info)
				hear(r, c.seconds, c.talkers()...)
				res, m := seal(t, r)
				if m.State != recorder.StateRecorded {
					t.Errorf("%d: state: got %s (%s), want recorded", i, m.State, m.CauseText)
				}
				folders[i], manifests[i] = res.Dir, m
				if m.Audio == nil || res.SHA256 != m.Audio.SHA256 {
					t.Fatalf("%d: audio: got %+v, result says %s", i, m.Audio, res.SHA256)
				}
			}
			if _, err := os.Lstat(filepath.Join(folders[1], recorder.AudioName)); err == nil {
				t.Error("there is a plain audio.wav beside the segments")
			}
			out, err := joined(t, dir, folders[1], id)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(folders[0], recorder.AudioName))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(out, recorder.AudioName))
			if err != nil {
				t.Fatal(err)
			}
			sameOctets(t, got, want)
			sum := sha256.Sum256(got)
			a, b := manifests[0].Audio, manifests[1].Audio
			if b.SHA256 != hex.EncodeToString(sum[:]) || a.SHA256 != b.SHA256 || a.Bytes != b.Bytes || a.Format != b.Format {
				t.Errorf("audio: got %+v, want %+v", b, a)
			}
			checkSegments(t, folders[1], manifests[1])
			checkExports(t, folders[0], folders[1], id)
			checkVerified(t, dir, folders[1], id)
		})
	}
}

func sameOctets(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("octet %d of %d: got %#x, want %#x of %d", i, len(got), got[i], want[i], len(want))
		}
	}
	t.Fatalf("got %d octets, want %d", len(got), len(want))
}

func checkSegments(t *testing.T, folder string, m *recorder.Manifest) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(folder, "audio-*.age"))
	if len(files) != len(m.Encryption.Segments) {
		t.Errorf("%d segments on disk, %d in the manifest", len(files), len(m.Encryption.Segments))
	}
	at := int64(0)
	for i, s := range m.Encryption.Segments {
		if s.First != at || s.File != filepath.Base(files[i]) || len(s.SHA256) != 64 {
			t.Errorf("segment %d: got %+v, want %s at %d with a hash", i, s, filepath.Base(files[i]), at)
		}
		at += s.Samples
	}
	if at != m.Samples {
		t.Errorf("segments: %d samples, want %d", at, m.Samples)
	}
}

func checkExports(t *testing.T, plain, sealed string, id age.Identity) {
	t.Helper()
	var out [2]bytes.Buffer
	for i, dir := range []string{plain, sealed} {
		e, err := recorder.OpenExport(dir, recorder.ExportConfig{Align: true, Identities: []recorder.Identity{id}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Write(&out[i]); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	sameOctets(t, out[1].Bytes(), out[0].Bytes())
	if _, err := recorder.OpenExport(sealed, recorder.ExportConfig{}); err == nil {
		t.Error("export without an identity: no error")
	}
	if _, err := recorder.OpenExport(sealed, recorder.ExportConfig{Identities: []recorder.Identity{newIdentity(t)}}); err == nil || !strings.Contains(err.Error(), "none of these identities") {
		t.Errorf("export with a stranger's identity: got %v", err)
	}
}

// checkVerified has the recording verified, without and with the identity, then with each of its files changed in one bit.
func checkVerified(t *testing.T, dir, folder string, id age.Identity) {
	t.Helper()
	for _, ids := range [][]recorder.Identity{nil, {id}} {
		if v := verified(t, dir, ids...); v.Good != 1 || len(v.Findings) != 0 {
			t.Errorf("verify: got %d good, %v", v.Good, v.Findings)
		}
	}
	files, _ := filepath.Glob(filepath.Join(folder, "audio*"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, len(b) / 2, len(b) - 1} {
			b[at] ^= 4
			if err := os.WriteFile(f, b, 0o600); err != nil {
				t.Fatal(err)
			}
			v := verified(t, dir)
			if len(v.Findings) != 1 || !strings.HasSuffix(v.Findings[0].What, filepath.Base(f)) {
				t.Errorf("%s, bit at %d flipped: got %v", filepath.Base(f), at, v.Findings)
			}
			b[at] ^= 4
		}
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// verified verifies all of a folder of recordings.
func verified(t *testing.T, dir string, ids ...recorder.Identity) *recorder.Verified {
	t.Helper()
	key, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName))
	if err != nil {
		t.Fatal(err)
	}
	c, err := recorder.OpenCatalog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Verify(t.Context(), recorder.VerifyConfig{Key: key, Identities: ids})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// grep names the files below dir that hold one of the words.
func grep(t *testing.T, dir string, words [][]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // a temporary file went while we looked
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		for i, w := range words {
			if bytes.Contains(b, w) {
				found = append(found, fmt.Sprintf("%s (word %d)", p, i))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
