package recorder_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

const (
	recipientEnv = "EARSHOT_RECORDER_RECIPIENT" // with it the child encrypts
	sealedCalls  = 3
	// fast is how much faster than life the child's clock goes, and with it how much more audio a group sync has.
	fast       = 4
	sealedSync = 100 * time.Millisecond
	// sealedBound is what a kill may cost of stereo PCM beside what no group sync had yet: what is not final (2 s), what a new track may lie earlier (0.5 s), and
	// a chunk of 64 KiB.
	sealedBound = 2*time.Second + 500*time.Millisecond + (64<<10)*time.Second/(8000*4)
)

// sealedChild records encrypted calls until somebody kills it, and says how much a group sync has had.
func sealedChild() {
	s, ctx := childStore(recorder.Config{Recipients: []string{os.Getenv(recipientEnv)}, Sync: sealedSync, Sign: true})
	type live struct {
		r *recorder.Recording
		k []*talker
	}
	var calls []live
	for i := range sealedCalls {
		r, err := s.Open(stereoInfo(fmt.Sprintf("call-%d", i)), recorder.Anchor{Wall: time.Now()})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		calls = append(calls, live{r, pair()})
	}
	begun := time.Now()
	var safe durable
	tick := time.NewTicker(childStep)
	for n := 0; ctx.Err() == nil; n++ {
		<-tick.C
		now := fast * time.Since(begun)
		for _, c := range calls {
			var frames []media.Frame
			for _, k := range c.k {
				for int64(len(k.kinds)) < int64(now)*8000/int64(time.Second) {
					kind := media.KindReceived
					if len(k.kinds)/160%50 == 7 {
						kind = media.KindLost
					}
					frames = append(frames, k.frame(kind, 160))
				}
			}
			c.r.Write(batch(now, frames, c.k...))
		}
		upTo := safe.note(s, now)
		fmt.Println(int64(upTo - safe.gap)) // what is final is reckoned once in a group sync
	}
	os.Exit(0)
}

// words are sounds of the call as they would lie on a disk: octets as they come, samples of one party, and of both in turns.
func words() (list [][]byte) {
	k := pair()
	for _, at := range []int64{2000, 20000, 44000, 60000} {
		var octets, pcm, stereo []byte
		for i := at; i < at+12; i++ {
			left, right := voice(1, i), voice(2, i-400)
			octets = append(octets, left)
			pcm = binary.LittleEndian.AppendUint16(pcm, uint16(k[0].linear(left)))
			stereo = binary.LittleEndian.AppendUint16(stereo, uint16(k[0].linear(left)))
			stereo = binary.LittleEndian.AppendUint16(stereo, uint16(k[1].linear(right)))
		}
		list = append(list, octets, pcm, stereo)
	}
	return list
}

// killedSealed runs the child until so much is on the disk, and a while longer, looks for sounds there meanwhile, kills it, and gives how much was on the disk at least.
func killedSealed(t *testing.T, dir string, to age.Recipient, upTo, after time.Duration) time.Duration {
	var looks sync.WaitGroup
	dead := make(chan struct{})
	looks.Go(func() {
		look := time.NewTicker(300 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-look.C:
			case <-dead:
				return
			}
			for _, f := range grep(t, dir, words()) {
				t.Errorf("while it records: sound in %s", f)
			}
		}
	})
	said, err := runKilled(t.Context(), dir, recipientEnv+"="+fmt.Sprint(to), onDisk(upTo), after)
	close(dead)
	looks.Wait()
	if err != nil {
		t.Error(err)
	}
	return lastSaid(said)
}

func TestKilledEncryptedRecordingsLoseTheOpenWindowAndAChunkAtMost(t *testing.T) {
	t.Parallel()
	kills := 4
	if os.Getenv("CI") == "true" {
		kills = 20
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	id := newIdentity(t)
	dirs, safe := make([]string, kills), make([]time.Duration, kills)
	for first := 0; first < kills; first += 5 {
		var wg sync.WaitGroup
		for i := first; i < min(first+5, kills); i++ {
			dirs[i] = filepath.Join(t.TempDir(), "recordings")
			after := time.Duration(random.Int64N(int64(900 * time.Millisecond)))
			wg.Go(func() { safe[i] = killedSealed(t, dirs[i], id.Recipient(), sealedBound+time.Second, after) })
		}
		wg.Wait()
	}
	if t.Failed() {
		return
	}
	for i, dir := range dirs {
		least := int64(safe[i]-sealedBound) * 8000 / int64(time.Second)
		s, stop := start(t, recorder.Config{Dir: dir, Recipients: []string{id.Recipient().String()}, Sign: true})
		eventually(t, "all repaired", func() bool { return len(s.Repaired()) == sealedCalls })
		for _, res := range s.Repaired() {
			checkSealedRepair(t, dir, res, least, id)
		}
		stop()
		for _, f := range grep(t, dir, words()) {
			t.Errorf("after the repair: sound in %s", f)
		}
		if v := verified(t, dir, id); v.Good != sealedCalls || len(v.Findings) > 0 {
			t.Errorf("verify: %d good, %v", v.Good, v.Findings)
		}
	}
}

func checkSealedRepair(t *testing.T, dir string, res recorder.Result, least int64, id age.Identity) {
	t.Helper()
	if res.Err != nil || res.State != recorder.StatePartial || res.Cause.Code != call.CodeCrash {
		t.Fatalf("result: got %+v, want partial for a crash", res)
	}
	m, err := recorder.ReadManifest(res.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Samples < least || m.Samples != res.Samples {
		t.Errorf("%s: %d samples, want %d at least", res.Dir, m.Samples, least)
	}
	out, _ := joined(t, dir, res.Dir, id) // the last segment is torn, mostly
	w := readWave(t, out)
	if w.samples() != m.Samples {
		t.Fatalf("age gives %d samples, the manifest says %d", w.samples(), m.Samples)
	}
	for ch, k := range pair() {
		pcm := w.pcm(ch)
		for i := range pcm {
			pos, want := int64(i)-k.Offset, int16(0)
			if pos >= 0 && pos/160%50 != 7 {
				want = k.linear(voice(k.ID, pos))
			}
			ended := pcm[i] == 0 && i >= len(pcm)-apart // one party's audio ends before the other's, if the crash came behind both
			if pcm[i] != want && !ended {
				t.Fatalf("channel %d: sample %d of %d: got %d, want %d", ch, i, len(pcm), pcm[i], want)
			}
		}
		tr := m.Tracks[ch]
		if short := m.Samples - tr.OffsetSamples - tr.Samples; short != 0 && (!tr.Ended || short < 0 || short > apart) {
			t.Errorf("track %d: ends at %d, want %d", tr.ID, tr.OffsetSamples+tr.Samples, m.Samples)
		}
	}
	wanted := 0 // a slow machine may have been killed before it got so far
	for _, at := range []int64{2000, 20000} {
		if m.Samples > at+1000 {
			wanted++
		}
	}
	if found := grep(t, out, words()[2:6]); len(found) < wanted { // those of both parties
		t.Errorf("words of both parties in what age gives: got %v, want %d: else nothing was looked for elsewhere", found, wanted)
	}
}
