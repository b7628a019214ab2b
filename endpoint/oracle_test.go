package endpoint_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// manifest is a second reader of recording.json, by the contract alone.
type manifest struct {
	Version  int      `json:"version"`
	State    string   `json:"state"`
	Cause    string   `json:"cause"`
	Samples  int64    `json:"samples"`
	Channels []string `json:"channels"`
	Call     struct {
		ID         string   `json:"id"`
		Sessions   []string `json:"sessions"`
		SIPCallIDs []string `json:"sip_call_ids"`
	} `json:"call"`
	Tracks []struct {
		ID      uint32 `json:"id"`
		PartyID string `json:"party_id"`
		Role    string `json:"role"`
		Channel int    `json:"channel"`
		Codec   string `json:"codec"`
		Offset  int64  `json:"offset_samples"`
		Epochs  []struct {
			SSRC      uint32 `json:"ssrc"`
			Pos       int64  `json:"pos"`
			Timestamp uint32 `json:"timestamp"`
		} `json:"epochs"`
		Spans []span `json:"spans"`
	} `json:"tracks"`
}

type span struct {
	Kind    string `json:"kind"`
	Pos     int64  `json:"pos"`
	Samples int64  `json:"samples"`
}

// recording is one sealed folder.
type recording struct {
	dir string
	manifest
	pcm [][]int16 // by channel
}

// recordings reads every sealed folder below dir, by call id.
func recordings(t *testing.T, dir string) map[string]recording {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*/*/*/*/recording.json"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]recording{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r := recording{dir: filepath.Dir(f)}
		if err := json.Unmarshal(b, &r.manifest); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if filepath.Ext(r.dir) == ".partial" {
			t.Errorf("%s: not sealed", r.dir)
		}
		if r.State != "no_media" {
			r.pcm = readWAV(t, filepath.Join(r.dir, "audio.wav"))
			if int64(len(r.pcm[0])) != r.Samples || len(r.pcm) != len(r.Channels) {
				t.Errorf("%s: %d x %d samples in the file, manifest says %d x %d", f, len(r.pcm), len(r.pcm[0]), len(r.Channels), r.Samples)
			}
		}
		out[r.Call.ID] = r
	}
	return out
}

// readWAV reads 16-bit PCM by its chunks.
func readWAV(t *testing.T, path string) [][]int16 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	channels := 0
	for at := 12; at+8 <= len(b); {
		id, size := string(b[at:at+4]), int(binary.LittleEndian.Uint32(b[at+4:]))
		body := b[at+8 : min(at+8+size, len(b))]
		switch id {
		case "fmt ":
			channels = int(binary.LittleEndian.Uint16(body[2:]))
		case "data":
			if len(body) != size {
				t.Errorf("%s: data chunk says %d, file holds %d", path, size, len(body))
			}
			out := make([][]int16, channels)
			for i := 0; i+1 < len(body); i += 2 {
				c := i / 2 % channels
				out[c] = append(out[c], int16(binary.LittleEndian.Uint16(body[i:])))
			}
			return out
		}
		at += 8 + size + size%2
	}
	t.Fatalf("%s: no data chunk", path)
	return nil
}

func decode(law trunk.Law, o byte) int16 {
	if law == trunk.PCMA {
		return g711.DecodeAlawFrame(o)
	}
	return g711.DecodeUlawFrame(o)
}

// compareCall holds a recording against what the simulator sent: each delivered sample in its place, each missing one
// silent and named, nothing else named lost.
func compareCall(t *testing.T, c *ringsim.Call, r recording) {
	t.Helper()
	streams := c.Streams()
	if len(streams) == 0 || len(r.Tracks) != len(streams) {
		t.Fatalf("call %s: %d tracks recorded, %d streams sent", c.SessionID(), len(r.Tracks), len(streams))
	}
	var sync []int64
	for _, s := range streams {
		sync = append(sync, compareStream(t, c, s, r))
	}
	for i, d := range sync[1:] {
		apart := (d - quickest(streams[i+1])) - (sync[0] - quickest(streams[0]))
		if apart < -16 || apart > 16 {
			t.Errorf("call %s: the parties are %d samples apart, want at most 16 (2 ms)", c.SessionID(), apart)
		}
	}
}

// quickest is where index 0 of the source lies in samples of wall time, by the packet of the first 500 ms that was sent
// least late: the simulator's own lateness on a busy machine is no fault of the recording.
func quickest(s ringsim.Stream) int64 {
	sent, least, found := s.Sent(), int64(0), false
	for _, p := range sent {
		if !p.Delivered || p.At.Sub(sent[0].At) > 500*time.Millisecond {
			continue
		}
		if at := p.At.UnixMicro()*8/1000 - p.Pos; !found || at < least {
			least, found = at, true
		}
	}
	return least
}

// compareStream gives the index in the file at which index 0 of the source lies.
func compareStream(t *testing.T, c *ringsim.Call, s ringsim.Stream, r recording) (sync int64) {
	t.Helper()
	sent := s.Sent()
	if len(sent) == 0 {
		t.Fatalf("call %s: %s sent nothing", c.SessionID(), s.Role)
	}
	at := -1
	for i := range r.Tracks {
		if e := r.Tracks[i].Epochs; len(e) > 0 && e[0].SSRC == sent[0].SSRC {
			at = i
		}
	}
	if at < 0 {
		t.Fatalf("call %s: no track has SSRC %d of %s", c.SessionID(), sent[0].SSRC, s.Role)
	}
	k := r.Tracks[at]
	where := fmt.Sprintf("call %s %s track %d", c.SessionID(), s.Role, k.ID)
	if len(r.Channels) == 2 && (k.Role != string(s.Role) || r.Channels[k.Channel] != k.Role) {
		t.Errorf("%s: role %q on channel %d (%v), want %s", where, k.Role, k.Channel, r.Channels, s.Role)
	}
	if k.Codec != s.Law().String() {
		t.Errorf("%s: codec %s, want %s", where, k.Codec, s.Law())
	}
	firstDelivered, lastDelivered := -1, -1
	for i, p := range sent {
		if p.Delivered {
			lastDelivered = i
			if firstDelivered < 0 {
				firstDelivered = i
			}
		}
	}
	epochOf := func(p trunk.Packet) int {
		for i, e := range k.Epochs {
			if e.SSRC == p.SSRC {
				return i
			}
		}
		return -1
	}
	missing := map[int64]int64{} // expected lost spans by pos
	good, bad := 0, 0
	for i, p := range sent {
		if i < firstDelivered || i > lastDelivered {
			continue
		}
		e := epochOf(p)
		if e < 0 {
			t.Errorf("%s: packet %d has SSRC %d that no epoch has", where, i, p.SSRC)
			return 0
		}
		pos := k.Epochs[e].Pos + int64(int32(p.Timestamp-k.Epochs[e].Timestamp))
		if i == firstDelivered {
			sync = pos + k.Offset - p.Pos
		}
		if !p.Delivered {
			missing[pos] = int64(p.Octets)
			continue
		}
		for n := range p.Octets {
			want := decode(s.Law(), s.Source.Octet(s.Law(), p.Pos+int64(n)))
			idx := pos + k.Offset + int64(n)
			if idx < 0 || idx >= r.Samples || r.pcm[k.Channel][idx] != want {
				bad++
				if bad == 1 {
					t.Errorf("%s: packet %d (seq %d) sample %d at index %d differs", where, i, p.Seq, n, idx)
				}
				continue
			}
			good++
		}
	}
	if bad > 0 || good == 0 {
		t.Errorf("%s: %d samples right, %d wrong", where, good, bad)
	}
	compareLost(t, where, missing, k.Spans)
	compareEpochPlaces(t, where, sent, k.Epochs[0].Timestamp, func(ssrc uint32) int64 {
		for _, e := range k.Epochs {
			if e.SSRC == ssrc {
				return e.Pos
			}
		}
		return -1
	})
	return sync
}

// compareLost wants the lost spans to be exactly what was not delivered.
func compareLost(t *testing.T, where string, missing map[int64]int64, spans []span) {
	t.Helper()
	want := map[int64]bool{}
	for pos, n := range missing {
		for i := range n {
			want[pos+i] = true
		}
	}
	named := 0
	for _, s := range spans {
		if s.Kind != "lost" {
			continue
		}
		for i := range s.Samples {
			named++
			if !want[s.Pos+i] {
				t.Errorf("%s: span %+v names sample %d lost, which was delivered or never sent", where, s, s.Pos+i)
				return
			}
		}
	}
	if named != len(want) {
		t.Errorf("%s: %d samples named lost, %d were not delivered; spans %+v", where, named, len(want), spans)
	}
}

// compareEpochPlaces wants each later SSRC to begin where its time of sending says, within one packet.
func compareEpochPlaces(t *testing.T, where string, sent []trunk.Packet, _ uint32, posOf func(uint32) int64) {
	t.Helper()
	first := sent[0]
	seen := map[uint32]bool{first.SSRC: true}
	order := append([]trunk.Packet(nil), sent...)
	sort.SliceStable(order, func(i, j int) bool { return order[i].Pos < order[j].Pos })
	for _, p := range order {
		if seen[p.SSRC] || !p.Delivered {
			continue
		}
		seen[p.SSRC] = true
		want := posOf(first.SSRC) + p.Pos - first.Pos
		if got := posOf(p.SSRC); got < want-160 || got > want+160 {
			t.Errorf("%s: epoch of SSRC %d begins at %d, want %d within a packet", where, p.SSRC, got, want)
		}
	}
}

// eventually waits for a condition, never for a time.
func eventually(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-tick.C
	}
}
