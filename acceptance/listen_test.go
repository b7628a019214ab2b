package acceptance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// streamOf finds a call's stream by role.
func streamOf(t *testing.T, c *ringsim.Call, role ringsim.Role) ringsim.Stream {
	t.Helper()
	for _, s := range c.Streams() {
		if s.Role == role {
			return s
		}
	}
	t.Fatalf("call %s: no stream of %s", c.SessionID(), role)
	return ringsim.Stream{}
}

func TestListenGivesTheRightSamplesAndEndsWithTheCall(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 2)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 2, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls, time.Second)
	heardCall, other := calls[1], calls[0]
	id := heardCall.SessionID()
	listen := func(args ...string) *process {
		return start(t, d.home, append([]string{"-c", d.config, "listen"}, args...)...)
	}
	listeners := map[string]*process{
		"mix": listen(id), "agent": listen("--agent", agent(1), "--track", "agent"), "customer": listen("--track=customer", id),
		"wav": listen(id, "--track=agent", "--format=wav"), "16000": listen(id, "--track=agent", "--rate=16000"),
		"mulaw": listen(id, "--track=agent", "--format=mulaw"),
	}
	for name, p := range listeners {
		oracle.Eventually(t, 10*time.Second, name+": a second of audio", func() bool { return len(p.out.Bytes()) > 2*8000 })
	}
	listeners["mulaw"].kill() // one that goes away
	if code, _, errs := d.command(t, "listen"); code != 1 || !strings.Contains(errs, "2 calls are live") {
		t.Errorf("listen without a name: exit code %d: %s, want 1: two calls are live", code, errs)
	}
	if code, _, errs := d.command(t, "listen", "s-nowhere"); code != 1 || !strings.Contains(errs, "no such call") {
		t.Errorf("listen to no call: exit code %d: %s, want 1", code, errs)
	}
	heardCall.Hangup()
	for name, p := range listeners {
		if name == "mulaw" {
			continue
		}
		if code := p.wait(t, 5*time.Second); code != 0 || p.log.String() != "" {
			t.Errorf("%s: exit code %d, %q when the call ended, want 0 and no word", name, code, p.log.String())
		}
	}
	hangUp(t, []*ringsim.Call{heardCall, other})
	d.sealed(t, 2, 3*time.Second)
	d.terminate(t)
	compareAll(t, d, calls)

	whole := func(name string, pcm []int16, role ringsim.Role) {
		heardLive(t, "listen "+name, pcm, streamOf(t, heardCall, role), 1)
	}
	agentPCM := oracle.S16LE(listeners["agent"].out.Bytes())
	whole("agent", agentPCM, ringsim.RoleAgent)
	whole("customer", oracle.S16LE(listeners["customer"].out.Bytes()), ringsim.RoleCustomer)
	wav := listeners["wav"].out.Bytes()
	if len(wav) < 44 || string(wav[:4]) != "RIFF" || string(wav[36:40]) != "data" {
		t.Fatalf("listen wav: no header of 44 octets: %q", wav[:min(44, len(wav))])
	}
	whole("wav", oracle.S16LE(wav[44:]), ringsim.RoleAgent)
	double := oracle.S16LE(listeners["16000"].out.Bytes())
	even := make([]int16, len(double)/2)
	for i := range even {
		even[i] = double[2*i]
	}
	whole("16000", even, ringsim.RoleAgent)
	compareMix(t, d, id, oracle.S16LE(listeners["mix"].out.Bytes()))
	t.Logf("%d samples of the agent heard live", len(agentPCM))
}

// compareMix holds a live mix against the recording, which has been compared with what was sent.
func compareMix(t *testing.T, d daemon, id string, mix []int16) {
	t.Helper()
	pcm := oracle.ByCall(t, d.dir)[id].PCM
	sum := make([]int16, len(pcm[0]))
	for i := range sum {
		sum[i] = int16(max(-32768, min(32767, int(pcm[0][i])+int(pcm[1][i]))))
	}
	if len(mix) < 2*settleSamples {
		t.Fatalf("listen mix: %d samples", len(mix))
	}
	mix = mix[settleSamples:]
	at := 0
	for at+len(mix) <= len(sum) && !slices.Equal(sum[at:at+len(mix)], mix) {
		at++
	}
	if at+len(mix) != len(sum) {
		t.Errorf("listen mix: %d samples are not the sum of both parties up to its end", len(mix))
	}
}

// settleSamples is how long a listener that comes into a live call may hear nothing: what is on its way went to others.
const settleSamples = 2000

// heardLive wants a live stream to be a stretch of what was sent, up to the end of the call, in at most so many pieces:
// when the offset of a track is known, 500 ms after its first packet, it is moved into its place.
func heardLive(t *testing.T, where string, pcm []int16, s ringsim.Stream, pieces int) {
	t.Helper()
	sent := s.Sent()
	last := sent[len(sent)-1]
	from, until := sent[0].Pos, last.Pos+int64(last.Octets)
	silence := func(at int) int {
		for at < len(pcm) && pcm[at] == 0 {
			at++
		}
		return at
	}
	at := silence(0)
	if at > settleSamples {
		t.Errorf("%s: begins with %d samples of silence, want %d at most", where, at, settleSamples)
	}
	n, end := 0, from
	for ; at < len(pcm) && n <= pieces; n++ {
		pos, ok := oracle.Find(pcm[at:], s.Law(), s.Source, end, until)
		if !ok {
			t.Errorf("%s: %d samples from %d on are nowhere in what came after %d", where, len(pcm)-at, at, end)
			return
		}
		if n > 0 && pos-end > 800 {
			t.Errorf("%s: moved from %d to %d of the source, want 100 ms at most", where, end, pos)
		}
		want := oracle.PCM(s.Law(), s.Source, pos, int(until-pos))
		i := 0
		for at+i < len(pcm) && i < len(want) && pcm[at+i] == want[i] {
			i++
		}
		at, end = silence(at+i), pos+int64(i) // silence: the track was moved, or the other party goes on
	}
	if n > pieces {
		t.Errorf("%s: in %d pieces, want %d at most", where, n, pieces)
	}
	if end != until {
		t.Errorf("%s: lacks the last %d samples", where, until-end)
	}
}

func TestListenWaitsForTheNextCall(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	p := start(t, d.home, "-c", d.config, "listen", "--track", "customer")
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	said(t, calls, time.Second)
	oracle.Eventually(t, 5*time.Second, "audio", func() bool { return len(p.out.Bytes()) > 8000 })
	hangUp(t, calls)
	if code := p.wait(t, 5*time.Second); code != 0 {
		t.Errorf("exit code %d when the call ended, want 0", code)
	}
	s := streamOf(t, calls[0], ringsim.RoleCustomer)
	pcm := oracle.S16LE(p.out.Bytes())
	heardLive(t, "listen", pcm, s, 2)
	d.terminate(t)
}

func TestListenEndsWithAnErrorWhenTheDaemonIsNotThere(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	d := write(t, string(sim.YAML("tls")))
	for _, args := range [][]string{{"listen"}, {"status"}, {"status", "--json"}} {
		code, out, errs := d.command(t, args...)
		if code != 1 || out != "" || !strings.HasPrefix(errs, "earshot: no earshot runs here") || !strings.Contains(errs, "hint: ") {
			t.Errorf("%v: exit code %d, %q, %q: want 1 and what to do", args, code, out, errs)
		}
	}
}

func TestStatusAndConsoleSayWhatIsHeard(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 2)
	d := write(t, string(sim.YAML("tls"))).run(t, quick)
	d.awaitReady(t)
	forms := []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormMixed}
	calls := begin(t, sim, 2, func(i int) ringsim.CallSpec {
		return ringsim.CallSpec{Law: law(i), Form: forms[i], ThirdParty: forms[i] == ringsim.FormMixed}
	})
	said(t, calls, time.Second)
	s := d.status(t)
	if !s.Ready || len(s.Calls) != 2 || len(s.Checks) < 2 {
		t.Fatalf("status: %+v, want ready, two calls, checks", s)
	}
	for _, c := range s.Calls {
		for _, k := range c.Tracks {
			if c.State != "live" || !k.SRTP || k.Seconds < 0.5 || k.Codec == "" || k.Role == "" {
				t.Errorf("call %s %s: track %+v, want a live one with SRTP", c.ID, c.State, k)
			}
		}
	}
	code, text, errs := d.command(t, "status")
	for _, want := range []string{"2 calls", calls[0].SessionID(), calls[1].SessionID(), "agent 108", "customer", "mix", "PCMU srtp", "PCMA srtp"} {
		if code != 0 || errs != "" || !strings.Contains(text, want) {
			t.Errorf("status: exit code %d, lacks %q:\n%s%s", code, want, text, errs)
		}
	}
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ok sip: registered"} {
		if code, body := d.get(path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q, want 200 and %q", path, code, body, want)
		}
	}
	_, body := d.get("/metrics")
	wantMetrics(t, body, map[string]string{
		`earshot_sip_registered`: "1", `earshot_calls{state="live"}`: "2", `earshot_media_tracks`: "3", `earshot_recorder_open_recordings`: "2",
		`earshot_supervise_logged_in`: "1", `earshot_media_samples_total{kind="lost"}`: "0", `earshot_media_samples_total{kind="received"}`: "[1-9].*",
		`earshot_media_drops_total{reason="malformed"}`: "0", `earshot_recorder_disk_free_bytes`: "[1-9].*",
	})
	hangUp(t, calls)
	d.sealed(t, 2, 3*time.Second)
	oracle.Eventually(t, 3*time.Second, "both counted as ended", func() bool {
		_, body := d.get("/metrics")
		return strings.Contains(body, `earshot_calls_ended_total{cause="hangup"} 2`)
	})
	d.terminate(t)
	if code, _ := d.get("/livez"); code != 0 {
		t.Errorf("/livez: %d after the end", code)
	}
}

func wantMetrics(t *testing.T, body string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` ` + value + `$`).MatchString(body) {
			t.Errorf("/metrics: %s, want %s: %s", name, value, strings.Join(regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+`.*$`).FindAllString(body, -1), " "))
		}
	}
	if strings.Contains(body, fmt.Sprint(ringsim.FirstAgentNumber)+`"`) {
		t.Error("/metrics: an agent's number is a label")
	}
}
