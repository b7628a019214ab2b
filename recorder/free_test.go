package recorder_test

import (
	"path/filepath"
	"testing"

	"github.com/earshot/earshot/recorder"
)

func TestFreeKnowsTheDiskOfAFolderThatIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	have, err := recorder.Free(dir)
	if err != nil || have <= 0 {
		t.Fatalf("got %d, %v", have, err)
	}
	if got, err := recorder.Free(filepath.Join(dir, "not", "there", "yet")); err != nil || got <= 0 {
		t.Errorf("got %d, %v, want about the %d of %s", got, err, have, dir)
	}
	if got := recorder.BytesPerSecond(recorder.FormatWAV, 2); got != 32_000 {
		t.Errorf("stereo WAV: got %d octets a second", got)
	}
	if got := recorder.BytesPerSecond(recorder.FormatMulaw, 2); got != 16_000 {
		t.Errorf("stereo mulaw: got %d octets a second", got)
	}
}
