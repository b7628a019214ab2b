package recorder_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// masksText tells a manifest's masks as "holder from+length", in samples; an open one ends in "...".
func masksText(masks []recorder.Mask) string {
	var out []string
	for _, m := range masks {
		s := fmt.Sprintf("%s %d+%d", m.By, m.Pos, m.Samples)
		if m.To == nil {
			s += "..."
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestTheManifestSaysWhoMasked(t *testing.T) {
	at := func(seconds float64) time.Time { return morning.Add(time.Duration(seconds * float64(time.Second))) }
	event := func(typ call.Type, by string, seconds float64) call.Event {
		return call.Event{Time: at(seconds), Type: typ, Call: "m", Facts: map[string]any{"by": by, "why": "why " + by}}
	}
	on, off := call.EventMaskOn, call.EventMaskOff
	for _, c := range []struct {
		name   string
		before []call.Mask
		events []call.Event
		want   string
	}{
		{"none", nil, nil, ""},
		{"one", nil, []call.Event{event(on, "pci", 1), event(off, "pci", 1.5)}, "pci 8000+4000"},
		{"two holders", nil, []call.Event{event(on, "pci", 0.5), event(on, "hold", 1), event(off, "pci", 1.5)}, "pci 4000+8000, hold 8000+8000..."},
		{"again", nil, []call.Event{event(on, "pci", 0), event(off, "pci", 0.5), event(on, "pci", 1)}, "pci 0+4000, pci 8000+8000..."},
		{"further back", nil, []call.Event{event(on, "pci", 1), event(on, "pci", 0.5), event(off, "pci", 1.5)}, "pci 4000+8000"},
		{"since before the part", []call.Mask{{By: "hook", From: at(-5)}}, []call.Event{event(off, "hook", 1)}, "hook 0+8000"},
		{"over before the part", []call.Mask{{By: "pci", From: at(-5), To: at(-1)}}, nil, ""},
		{"an end without a beginning", nil, []call.Event{event(off, "pci", 1)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := start(t, recorder.Config{})
			info := stereoInfo("m")
			info.Masks = c.before
			r := open(t, s, info)
			k := newTalker(1, call.RoleCustomer, 0)
			b := batch(2*time.Second, k.speaks(100), k)
			b.Events = c.events
			r.Write(b)
			_, m := seal(t, r)
			if got := masksText(m.Masks); got != c.want {
				t.Errorf("masks: got %q, want %q", got, c.want)
			}
			for _, x := range m.Masks {
				if c.before == nil && x.Why != "why "+x.By {
					t.Errorf("why: got %q", x.Why)
				}
			}
		})
	}
}

// crashed copies what a process that is killed leaves of a recording.
func crashed(t *testing.T, r *recorder.Recording, least int) (dir string) {
	t.Helper()
	from := r.Result().Dir
	eventually(t, "on disk", func() bool {
		fi, err := os.Stat(filepath.Join(from, recorder.AudioName))
		m, bad := recorder.ReadManifest(from)
		return err == nil && bad == nil && fi.Size() >= int64(least) && len(m.Tracks) == 2 && m.Tracks[1].OffsetMethod != ""
	})
	dir = t.TempDir()
	to := filepath.Join(dir, "2026", "11", "23", filepath.Base(from))
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{recorder.AudioName, "audio-1.wav", "audio-2.wav", recorder.ManifestName, recorder.EventsName} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestARepairWritesAMaskOnceMore: the answer that it holds was given, and the machine lost power before its silence was on the disk.
func TestARepairWritesAMaskOnceMore(t *testing.T) {
	for _, format := range []string{recorder.FormatWAV, recorder.FormatMulaw} {
		t.Run(format, func(t *testing.T) {
			s, _ := start(t, recorder.Config{Format: format})
			r := open(t, s, stereoInfo("lost-power"))
			a, b := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 400)
			frames := append(a.speaks(200), a.frame(media.KindLost, 160))
			r.Write(batch(5*time.Second, append(frames, b.speaks(200)...), a, b))
			dir := crashed(t, r, 80+2*2*8000)
			seal(t, r)

			var asked string
			mask := call.Mask{By: "pci", Why: "card", From: morning.Add(2 * time.Second), To: morning.Add(3 * time.Second)}
			again, _ := start(t, recorder.Config{Dir: dir, Format: format, Masks: func(id string, sessions []string) []call.Mask {
				asked = id + " " + strings.Join(sessions, ",")
				return []call.Mask{mask}
			}})
			eventually(t, "repaired", func() bool { return len(again.Repaired()) == 1 })
			res := again.Repaired()[0]
			if res.Err != nil || asked != "lost-power lost-power" {
				t.Fatalf("got %v, asked for %q", res.Err, asked)
			}
			m, err := recorder.ReadManifest(res.Dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := masksText(m.Masks); got != "pci 16000+8000" {
				t.Errorf("masks: got %q", got)
			}
			w := readWave(t, res.Dir)
			for ch, k := range []*talker{a, b} {
				k.behind(media.KindMasked, 16_000-k.Offset, 8000)
				want := expect(int64(len(w.pcm(ch))), k)
				sameSamples(t, fmt.Sprintf("channel %d", ch), w.pcm(ch), want)
				found := false
				for _, x := range m.Tracks[ch].Spans {
					found = found || x.Kind == masked && x.Pos == 16_000-k.Offset && x.Samples == 8000
				}
				if !found {
					t.Errorf("track %d: spans %+v, want the mask among them", ch+1, m.Tracks[ch].Spans)
				}
			}
		})
	}
}

// TestARepairMasksOctetsOfEitherLaw: what was kept bit for bit beside audio.wav is as secret as what is in it.
func TestARepairMasksOctetsOfEitherLaw(t *testing.T) {
	for _, laws := range [][2]media.Law{{media.LawPCMU, media.LawPCMA}, {media.LawPCMA, media.LawPCMU}} {
		t.Run(laws[0].String(), func(t *testing.T) {
			s, _ := start(t, mulaw)
			r := open(t, s, stereoInfo("two-laws"))
			a, b := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 400)
			a.Law, b.Law = laws[0], laws[1]
			r.Write(batch(5*time.Second, append(a.speaks(200), b.speaks(200)...), a, b))
			dir := crashed(t, r, 94+2*2*8000)
			seal(t, r)
			mask := call.Mask{By: "pci", From: morning.Add(2 * time.Second), To: morning.Add(3 * time.Second)}
			cfg := mulaw
			cfg.Dir, cfg.Masks = dir, func(string, []string) []call.Mask { return []call.Mask{mask} }
			again, _ := start(t, cfg)
			eventually(t, "repaired", func() bool { return len(again.Repaired()) == 1 })
			res := again.Repaired()[0]
			must(t, res.Err)
			quiet := func(w wave) []byte {
				o := byte(0xFF)
				if w.tag == 6 {
					o = 0xD5
				}
				return bytes.Repeat([]byte{o}, 8000*w.channels)
			}
			w, own := readWave(t, res.Dir), readWaveFile(t, filepath.Join(res.Dir, "audio-2.wav"))
			if !bytes.Equal(w.data[2*16_000:2*24_000], quiet(w)) {
				t.Error("audio.wav: what the mask covers is no silence")
			}
			at := 16_000 - 400
			if !bytes.Equal(own.data[at:at+8000], quiet(own)) {
				t.Error("audio-2.wav: what the mask covers is no silence")
			}
			if own.data[at-1] != voice(2, int64(at-1)) || own.data[at+8000] != voice(2, int64(at+8000)) {
				t.Error("audio-2.wav: the mask covers more than it should")
			}
		})
	}
}
