package endpoint_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// taped lays down a recording of both parties and opens it; it gives audio.wav's samples, customer left. The agent is masked from 100 to 200 ms.
func taped(t *testing.T, samples int64) (p *recorder.Playback, pcm []byte) {
	t.Helper()
	dir := t.TempDir()
	track := func(id uint32, role call.Role, channel int, spans ...recorder.Span) recorder.Track {
		return recorder.Track{ID: id, Role: role, Channel: channel, OffsetMethod: "arrival", Samples: samples, Ended: true, Spans: spans}
	}
	started := time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
	m, err := json.Marshal(recorder.Manifest{
		Version: 1, State: recorder.StateRecorded, Rate: media.SampleRate, Samples: samples, Part: 1, Channels: []string{"customer", "agent"}, Started: started, Ended: &started,
		Call:   recorder.ManifestCall{ID: "s-1", Agent: "108", Expected: []call.Party{{Role: call.RoleCustomer}, {Role: call.RoleAgent}}},
		Tracks: []recorder.Track{track(1, call.RoleCustomer, 0), track(2, call.RoleAgent, 1, recorder.Span{Kind: "masked", Pos: 800, Samples: 800})},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range samples {
		left, right := uint16(i%2000+1), uint16(i%1999+1)
		if i >= 800 && i < 1600 {
			right = 0
		}
		pcm = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(pcm, left), right)
	}
	wav := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x40\x1f\x00\x00\x00\x7d\x00\x00\x04\x00\x10\x00data"), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(wav[4:], uint32(36+len(pcm)))
	binary.LittleEndian.PutUint32(wav[40:], uint32(len(pcm)))
	for name, b := range map[string][]byte{recorder.ManifestName: m, recorder.AudioName: append(wav, pcm...)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err = recorder.OpenPlayback(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, pcm
}

// side gives one channel of interleaved samples.
func side(pcm []byte, channel int) (out []byte) {
	for i := 2 * channel; i < len(pcm); i += 4 {
		out = append(out, pcm[i], pcm[i+1])
	}
	return out
}

func TestAReplayTakesAsLongAsTheCallDid(t *testing.T) {
	for speed, want := range map[float64]time.Duration{0: 4 * time.Second, 4: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p, pcm := taped(t, 4*media.SampleRate)
			var out bytes.Buffer
			began := time.Now()
			done, err := endpoint.Replay(t.Context(), []*recorder.Playback{p}, endpoint.ReplayConfig{
				To: &out, Listen: stream.ListenConfig{Track: "agent"}, Speed: speed,
			})
			if err != nil || done.Dropped != 0 || done.Given[media.KindMasked] != 800 || done.Given[media.KindReceived] != 8*media.SampleRate-800 {
				t.Errorf("got %+v, %v", done, err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("at speed %v: took %v, want %v", speed, took, want)
			}
			if !bytes.Equal(out.Bytes(), side(pcm, 1)) {
				t.Errorf("%d octets are not the agent's %d", out.Len(), len(pcm)/2)
			}
		})
	}
}

// sips is a reader that takes its time.
type sips struct{ bytes.Buffer }

func (s *sips) Write(b []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return s.Buffer.Write(b)
}

func TestAReplayAsTakenWaitsForItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, pcm := taped(t, 40*media.SampleRate)
		var out sips
		done, err := endpoint.Replay(t.Context(), []*recorder.Playback{p}, endpoint.ReplayConfig{To: &out, Listen: stream.ListenConfig{Track: "customer"}, Speed: endpoint.AsTaken})
		if err != nil || done.Dropped != 0 || !bytes.Equal(out.Bytes(), side(pcm, 0)) {
			t.Errorf("got %+v, %v, %d octets, want %d", done, err, out.Len(), len(pcm)/2)
		}
	})
}

func TestAReplayInTimeTellsWhatItsReaderWasTooSlowFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := taped(t, 40*media.SampleRate)
		var out sips
		done, err := endpoint.Replay(t.Context(), []*recorder.Playback{p}, endpoint.ReplayConfig{To: &out, Speed: 100})
		if got := done.Dropped + int64(out.Len()/2); err != nil || done.Dropped == 0 || got != 40*media.SampleRate {
			t.Errorf("%v: dropped and given are %d, want %d", err, got, 40*media.SampleRate)
		}
	})
}

func TestAReplayGivesEachConsumerTheWholeCall(t *testing.T) {
	p, pcm := taped(t, 60*media.SampleRate)
	q, _ := taped(t, 60*media.SampleRate)
	dir := t.TempDir()
	cat := func(name string, c stream.Consumer) stream.Consumer {
		c.Name, c.Command, c.Env = name, []string{"sh", "-c", `cat >> "$OUT/$CALL_ROLE"`}, map[string]string{"OUT": dir}
		return c
	}
	done, err := endpoint.Replay(t.Context(), []*recorder.Playback{p, q}, endpoint.ReplayConfig{
		Consumers: []stream.Consumer{cat("call", stream.Consumer{Per: stream.PerCall}), cat("agent", stream.Consumer{Agents: []string{"107"}, Roles: []string{"agent"}})},
		Speed:     endpoint.AsTaken,
	})
	if err != nil || len(done.Failed) > 0 {
		t.Fatalf("got %+v, %v", done, err)
	}
	for role, want := range map[string][]byte{"customer,agent": pcm, "agent": side(pcm, 1)} {
		got, err := os.ReadFile(filepath.Join(dir, role))
		if err != nil || !bytes.Equal(got, append(bytes.Clone(want), want...)) {
			t.Errorf("%s: %d octets, %v; want both parts, %d", role, len(got), err, 2*len(want))
		}
	}
	if n := done.Consumers["call"]; n.Connections != 2 || n.DroppedSamples != 0 || n.SentOctets != int64(2*len(pcm)) {
		t.Errorf("got %+v", n)
	}
}

func TestAConsumerThatFailsInAReplayIsNamed(t *testing.T) {
	p, _ := taped(t, media.SampleRate)
	done, err := endpoint.Replay(t.Context(), []*recorder.Playback{p}, endpoint.ReplayConfig{
		Consumers: []stream.Consumer{{Name: "broken", Command: []string{"sh", "-c", "exit 3"}, Per: stream.PerCall, Restart: stream.RestartNever}}, Speed: endpoint.AsTaken,
	})
	if err != nil || len(done.Failed) != 1 || !strings.HasPrefix(done.Failed[0], "broken: ") || !strings.HasSuffix(done.Failed[0], ": exit status 3") {
		t.Errorf("got %+v, %v", done, err)
	}
}

func TestAReplayEndsWhenItIsToldTo(t *testing.T) {
	p, _ := taped(t, 60*media.SampleRate)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.ReadFull(c, make([]byte, 1600))
			stop(why)
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	_, err = endpoint.Replay(ctx, []*recorder.Playback{p}, endpoint.ReplayConfig{Consumers: []stream.Consumer{{Type: stream.TypeTCP, Address: l.Addr().String(), Per: stream.PerCall}}})
	if !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

func TestAReplayWhoseReaderIsGoneEnds(t *testing.T) {
	p, _ := taped(t, 60*media.SampleRate)
	r, w := io.Pipe()
	_ = r.Close()
	if _, err := endpoint.Replay(t.Context(), []*recorder.Playback{p}, endpoint.ReplayConfig{To: w}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}
