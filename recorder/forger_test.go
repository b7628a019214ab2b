package recorder_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
)

// flipOctet changes an octet of a file.
func flipOctet(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestASealedRecordingIsNotSignedAgain: who can rename a folder would otherwise have the next start sign what he made of it.
func TestASealedRecordingIsNotSignedAgain(t *testing.T) {
	for _, forged := range []string{"recording.json", "recording.sig", ""} {
		dir, key, kept := archive(t, 3)
		name := folders(t, dir)[0]
		partial := filepath.Join(dir, name+".partial")
		if err := os.Rename(filepath.Join(dir, name), partial); err != nil {
			t.Fatal(err)
		}
		v, bad := verify(t, dir, key, kept)
		if bad != "" || v.Live != 1 || v.Good != 2 {
			t.Errorf("sealed but for its name: got %+v\n%s", v, bad)
		}
		flipOctet(t, filepath.Join(partial, "audio.wav"))
		if forged != "" {
			if err := os.Remove(filepath.Join(partial, forged)); err != nil {
				t.Fatal(err)
			}
		}
		if _, bad := verify(t, dir, key, kept); !strings.Contains(bad, name+".partial") {
			t.Errorf("without %q: changed under the name of a live one: got\n%s", forged, bad)
		}
		var d diary
		s, stop := start(t, recorder.Config{Dir: dir, Sign: true, Log: d.log()})
		eventually(t, "a look at it", func() bool { return len(s.Repaired()) == 1 })
		stop()
		if _, err := os.Stat(partial); err != nil || s.Repaired()[0].Err == nil || !d.has("level=ERROR") {
			t.Errorf("without %q: after a start: %v, %+v", forged, err, s.Repaired())
		}
		if v, bad := verify(t, dir, key, kept); !strings.Contains(bad, name+".partial") || v.Leaves != 6 {
			t.Errorf("without %q: after a start: %d leaves, got\n%s", forged, v.Leaves, bad)
		}
	}
}

func TestWhatIsNoFileIsNamedAndNotRead(t *testing.T) {
	dir, key, kept := archive(t, 3)
	names := folders(t, dir)
	good := snapshot(t, dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, do := range map[string]func(string) error{
		names[0] + "/audio.wav":              func(n string) error { return syscall.Mkfifo(n, 0o600) },
		names[0] + "/recording.json":         func(n string) error { return syscall.Mkfifo(n, 0o600) },
		names[0] + "/recording.sig":          func(n string) error { return os.Mkdir(n, 0o700) },
		names[0] + "/events.jsonl":           func(n string) error { return os.Symlink("/dev/zero", n) },
		filepath.Dir(names[0]) + "/.notes":   func(n string) error { return os.WriteFile(n, nil, 0o600) },
		names[1]:                             func(n string) error { return os.Symlink("/etc", n) },
		"evidence/log/leaves.jsonl":          func(n string) error { return syscall.Mkfifo(n, 0o600) },
		"evidence/log/checkpoint":            func(n string) error { return syscall.Mkfifo(n, 0o600) },
		"evidence/log/hashes":                func(n string) error { return syscall.Mkfifo(n, 0o600) },
		filepath.Dir(filepath.Dir(names[0])): func(n string) error { return os.WriteFile(n, nil, 0o600) },
	} {
		if err := os.RemoveAll(at(name)); err != nil {
			t.Fatal(err)
		}
		if err := do(at(name)); err != nil {
			t.Fatal(err)
		}
		if _, bad := verify(t, dir, key, kept); !strings.Contains(bad, name) {
			t.Errorf("%s: not named:\n%s", name, bad)
		}
		restore(t, dir, good)
	}
}

// TestALiveArchiveRaisesNoFalseAlarm verifies while recordings are sealed.
func TestALiveArchiveRaisesNoFalseAlarm(t *testing.T) {
	dir, key, kept := archive(t, 3)
	s, _ := start(t, recorder.Config{Dir: dir, Sign: true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 5 {
			var live []*recorder.Recording
			for j := range 10 {
				info := stereoInfo("live")
				info.Started = morning.Add(time.Duration(10*i+j) * time.Minute)
				r, err := s.Open(info, anchor)
				if err != nil {
					t.Error(err)
					return
				}
				writeSome(r, 5)
				r.End(hangup)
				live = append(live, r)
			}
			for _, r := range live {
				<-r.Sealed()
			}
		}
	}()
	rounds := 0
	for live := true; live; rounds++ {
		select {
		case <-done:
			live = false
		default:
		}
		if v, bad := verify(t, dir, key, kept); bad != "" {
			t.Errorf("round %d: %+v\n%s", rounds, v, bad)
			break
		}
	}
	<-done
	if v, _ := verify(t, dir, key, kept); v.Good != 53 || v.Leaves != 106 {
		t.Errorf("after %d rounds: %+v", rounds, v)
	}
}
