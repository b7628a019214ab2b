package acceptance

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/needs"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// player starts somebody else's program that hears a call over HTTP; what it makes of it lies in a file then.
func player(t *testing.T, name string, args ...string) (wait func() error) {
	t.Helper()
	needs.Programs(t, name)
	cmd := exec.CommandContext(t.Context(), name, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() error {
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, errs.String())
		}
		return nil
	}
}

func octets(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCurlAndFFmpegHearALiveCall(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	d := write(t, string(sim.YAML("tls"))+"console: {listen: \"127.0.0.1:0\", auth: {token: correct-horse-battery}}\n").runReady(t, quick)
	c := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })[0]
	said(t, []*ringsim.Call{c}, time.Second)
	url := "http://" + consoleAt.FindStringSubmatch(d.log.String())[1] + "/calls/any/"
	raw, alaw, pcm := filepath.Join(d.home, "raw"), filepath.Join(d.home, "alaw"), filepath.Join(d.home, "pcm")
	waits := []func() error{
		player(t, "curl", "-sSf", "-H", "Authorization: Bearer correct-horse-battery", "-o", raw, url+"audio.raw?track=customer"),
		player(t, "curl", "-sSf", "-H", "Authorization: Bearer correct-horse-battery", "-o", alaw, url+"audio.raw?track=customer&format=alaw"),
		player(t, "ffmpeg", "-loglevel", "error", "-i", url+"audio.wav?track=agent&token=correct-horse-battery", "-f", "s16le", pcm),
	}
	began := time.Now()
	oracle.Eventually(t, 30*time.Second, "all hear it", func() bool {
		st, err := os.Stat(raw)
		at, other := os.Stat(alaw)
		return err == nil && other == nil && st.Size() > 16000 && at.Size() > 8000 && time.Since(began) > 2*time.Second
	})
	hangUp(t, []*ringsim.Call{c})
	for _, wait := range waits {
		if err := wait(); err != nil {
			t.Error(err)
		}
	}
	d.sealed(t, 1, 10*time.Second)
	d.terminate(t)
	heardLive(t, "curl", oracle.S16LE(octets(t, raw)), streamOf(t, c, ringsim.RoleCustomer), 1)
	heardLive(t, "ffmpeg", oracle.S16LE(octets(t, pcm)), streamOf(t, c, ringsim.RoleAgent), 1)
	if n := len(octets(t, alaw)); n < 8000 {
		t.Errorf("alaw: %d octets", n)
	}
}

// TestStatusAndHeadersTellOfLiveConsumers: who has the audio, and for a listener with headers, where in the call and how old it is.
func TestStatusAndHeadersTellOfLiveConsumers(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 2)
	yaml := string(sim.YAML("tls")) + fmt.Sprintf("stream:\n  - {name: mine, command: [cat], agents: [%q], per: call}\n  - {name: agents, command: [cat], roles: [agent]}\n", agent(1))
	d := write(t, yaml).runReady(t, quick)
	before := time.Now()
	calls := begin(t, sim, 2, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	said(t, calls, time.Second)
	framed := start(t, d.home, "-c", d.config, "listen", "--header", "--track=customer", calls[1].SessionID())
	oracle.Eventually(t, 30*time.Second, "half a second with headers", func() bool { return len(framed.out.Bytes()) > 8000 })
	var got struct {
		Calls []struct {
			ID        string
			Consumers []struct{ Name, Role, State string }
		}
	}
	oracle.Eventually(t, 30*time.Second, "three consumers have audio", func() bool {
		code, out, errs := d.command(t, "status", "--json")
		if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil {
			t.Fatalf("status: code %d, %v, %s", code, err, errs)
		}
		n := map[string]string{}
		for _, c := range got.Calls {
			for _, s := range c.Consumers {
				n[c.ID] += s.Name + " " + s.Role + " " + s.State + ";"
			}
		}
		all := "agents agent connected;"
		return n[calls[0].SessionID()] == all && n[calls[1].SessionID()] == all+"mine customer,agent connected;"
	})
	if code, out, _ := d.command(t, "status"); code != 0 || !strings.Contains(out, "to mine") || !strings.Contains(out, "ms behind") {
		t.Errorf("status: code %d, %s", code, out)
	}
	if code, page := d.get("/metrics"); code != http.StatusOK || !strings.Contains(page, `earshot_stream_consumer_connected{consumer="agents"} 2`) || !strings.Contains(page, `earshot_stream_consumer_lag_seconds{consumer="mine"}`) {
		t.Errorf("metrics: code %d", code)
	}
	hangUp(t, calls)
	if code := framed.wait(t, 30*time.Second); code != 0 {
		t.Errorf("listen --header: code %d, %s", code, framed.log.String())
	}
	d.sealed(t, 2, 10*time.Second)
	d.terminate(t)
	b, pcm, end := framed.out.Bytes(), []byte(nil), int64(-1)
	for len(b) >= 24 {
		n, pos, at := binary.LittleEndian.Uint32(b[4:]), int64(binary.LittleEndian.Uint64(b[8:])), int64(binary.LittleEndian.Uint64(b[16:]))
		if string(b[:4]) != "EAR1" || end >= 0 && pos != end {
			t.Fatalf("a message %q at %d, want %d", b[:4], pos, end)
		}
		if captured := time.Unix(0, at); at != 0 && (captured.Before(before) || captured.After(time.Now())) {
			t.Errorf("the message at %d was captured at %v", pos, captured)
		}
		b, pcm, end = b[24+n:], append(pcm, b[24:24+n]...), pos+int64(n)/2
	}
	heardLive(t, "listen --header", oracle.S16LE(pcm), streamOf(t, calls[1], ringsim.RoleCustomer), 1)
}
