package vault_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
)

// TestATranscriptThatComesAfterTheUploadIsBroughtToo: the folders may be compared while a sealed recording's engines are still silent, and nothing of its transcript is on the disk.
func TestATranscriptThatComesAfterTheUploadIsBroughtToo(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 5000)
	v := start(t, config(dir, g.addr).Quick(50*time.Millisecond, 5*time.Second))
	eventually(t, time.Minute, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 && v.Status().Queued == 0 })
	if err := os.WriteFile(filepath.Join(dir, folder, recorder.TranscriptName), []byte("{\"v\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.Sealed(recorder.Result{Dir: filepath.Join(dir, folder)}) // as the recorder tells, when the transcript is there
	eventually(t, time.Minute, "it is told of again", func() bool { return v.told.folders()[folder] == 2 && v.Status().Queued == 0 })
	g.whole(t, dir, folder)
	s := disk(t, dir, v.Vault)
	if n, err := s.MoveOut(t.Context(), atOnce(v.Vault)); n != 1 || err != nil {
		t.Errorf("%d moved, %v", n, err)
	}
	v.Sealed(recorder.Result{Dir: filepath.Join(dir, folder)}) // and its audio is not here
	eventually(t, time.Minute, "it is told of once more", func() bool { return v.told.folders()[folder] == 3 && v.Status().Queued == 0 })
	if f := v.told.failures(); len(f) != 0 {
		t.Errorf("told as failures: %+v", f)
	}
}
