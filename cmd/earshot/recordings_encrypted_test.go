package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

func TestAnEncryptedRecordingIsShownVerifiedAndExported(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir, file, stranger := filepath.Join(t.TempDir(), "recordings"), filepath.Join(t.TempDir(), "me.txt"), filepath.Join(t.TempDir(), "they.txt")
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*age.X25519Identity{file: id, stranger: other} {
		if err := os.WriteFile(name, []byte("# made by age-keygen\n"+key.String()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	makeEncrypted(t, dir, id.Recipient())
	code, out, errs := recordings(t, "--dir", dir, "show", "s-1")
	if code != exitDone || !strings.Contains(out, "encrypted  age, 1 segments, key keys/2026/11/23/") || !strings.Contains(out, id.Recipient().String()) {
		t.Errorf("show: code %d, %q, %q", code, out, errs)
	}
	if code, out, errs = recordings(t, "--dir", dir, "export", "s-1"); code == exitDone || out != "" || !strings.Contains(errs, "hint: --identity FILE") {
		t.Errorf("export without an identity: code %d, %d octets, %q", code, len(out), errs)
	}
	if code, out, errs = recordings(t, "--dir", dir, "export", "--identity", stranger, "s-1"); code == exitDone || out != "" || !strings.Contains(errs, "encrypted to none of these identities") {
		t.Errorf("export by a stranger: code %d, %d octets, %q", code, len(out), errs)
	}
	if code, _, errs = recordings(t, "--dir", dir, "export", "--identity", filepath.Join(dir, "nothing"), "s-1"); code != exitUsage || !strings.Contains(errs, "--identity: open ") {
		t.Errorf("export with no such file: code %d, %q", code, errs)
	}
	if code, out, errs = recordings(t, "--dir", dir, "export", "--tags", "none", "--identity", file, "s-1"); code != exitDone || len(out) != 44+2*800 || !strings.HasPrefix(out, "RIFF") || strings.Contains(out, "\x00\x00\x00\x00") {
		t.Errorf("export: code %d, %d octets, %q", code, len(out), errs)
	}
	for _, args := range [][]string{nil, {"--identity", file}} {
		if code, out, errs = recordings(t, append([]string{"--dir", dir, "verify"}, args...)...); code != exitDone || !strings.Contains(out, "recordings as they were signed: 1; findings: 0") {
			t.Errorf("verify %v: code %d, %q, %q", args, code, out, errs)
		}
	}
	if code, out, _ = recordings(t, "--dir", dir, "verify", "--identity", stranger); code == exitDone || !strings.Contains(out, "UNREADABLE") {
		t.Errorf("verify by a stranger: code %d, %q", code, out)
	}
}

// makeEncrypted makes a folder with one signed recording of 100 ms.
func makeEncrypted(t *testing.T, dir string, to *age.X25519Recipient) {
	t.Helper()
	s, err := recorder.New(recorder.Config{Dir: dir, Sync: 100 * time.Millisecond, Sign: true, Recipients: []string{to.String()}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(call.Info{
		ID: "s-1", Started: time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC), Expected: []call.Party{{ID: "p1", Role: call.RoleMix}},
	}, recorder.Anchor{Wall: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	r.Write(&media.Batch{
		Frames: []media.Frame{{Track: 1, Kind: media.KindReceived, Law: media.LawPCMU, Samples: 800, Octets: bytes.Repeat([]byte{0x33}, 800)}},
		Tracks: []media.TrackState{{ID: 1, Leg: "leg", Law: media.LawPCMU, Placed: true, OffsetMethod: media.OffsetArrival, Length: 800, Party: call.Party{ID: "p1", Role: call.RoleMix}}},
	})
	r.End(call.Cause{Code: call.CodeHangup})
	ran := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { ran <- s.Run(ctx) }()
	<-r.Sealed()
	stop()
	if err := <-ran; err != nil || r.Result().Err != nil {
		t.Fatal(err, r.Result().Err)
	}
}
