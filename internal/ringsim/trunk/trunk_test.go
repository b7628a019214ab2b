package trunk

import (
	"context"
	"crypto/aes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDigestVectorsOfTheFactSheet(t *testing.T) {
	c := map[string]string{"uri": "sip:sip.ringcentral.com", "nonce": "XXvrW1176i9sn4clcQVdEk6ezAYxEy/P"}
	if got, want := digestResponse("802636634016", "sip.ringcentral.com", "made-up-pw", "REGISTER", c), "5a36a831bbc7ff31f1fb20b76b0d7c34"; got != want {
		t.Errorf("without qop: %s, want %s", got, want)
	}
	c["qop"], c["nc"], c["cnonce"] = "auth", "00000001", "0a4f113b"
	if got, want := digestResponse("802636634016", "sip.ringcentral.com", "made-up-pw", "REGISTER", c), "5fbfb73656f40d952933c353029a1458"; got != want {
		t.Errorf("qop=auth: %s, want %s", got, want)
	}
}

func TestRFC3711KeyDerivation(t *testing.T) { // appendix B.3
	master := unhex(t, "E1F97A0D3E018BE0D64FA32C06DE4139"+"0EC675AD498AFEEBB6960B3AABE6")
	for label, want := range map[byte]string{
		0: "C61E7A93744F39EE10734AFE3FF7A087",
		1: "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4",
		2: "30CBBC08863D8C85D49DB34A9AE1",
	} {
		if got := derive(master, label, len(want)/2); !slices.Equal(got, unhex(t, want)) {
			t.Errorf("label %d: %X, want %s", label, got, want)
		}
	}
}

func TestRFC3711KeyStream(t *testing.T) { // appendix B.2: SSRC and index are zero
	c := newSRTP(suite80, make([]byte, 30))
	var err error
	if c.block, err = aes.NewCipher(unhex(t, "2B7E151628AED2A6ABF7158809CF4F3C")); err != nil {
		t.Fatal(err)
	}
	copy(c.salt[:], unhex(t, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD"))
	got := make([]byte, 48)
	c.crypt(got, 0, 0)
	want := unhex(t, "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0")
	if !slices.Equal(got, want) {
		t.Errorf("key stream %X, want %X", got, want)
	}
}

// TestSRTPOfLibsrtp is the RTP vector of libsrtp's own tests, for header, index and tag together.
func TestSRTPOfLibsrtp(t *testing.T) {
	key := unhex(t, "E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6")
	plain := unhex(t, "800F1234DECAFBADCAFEBABE"+strings.Repeat("AB", 16))
	want := unhex(t, "800F1234DECAFBADCAFEBABE4E55DC4CE79978D88CA4D215949D2402B78D6ACC99EA179B8DBB")
	got := newSRTP(suite80, key).seal(slices.Clone(plain), 12, 0xCAFEBABE, 0x1234)
	if !slices.Equal(got, want) {
		t.Errorf("sealed %X, want %X", got, want)
	}
	p, ok := newSRTP(suite80, key).open(slices.Clone(want))
	if !ok || string(p.payload) != strings.Repeat("\xAB", 16) {
		t.Errorf("opened %v %X", ok, p.payload)
	}
}

func TestSRTPGoesOnOverTheSequenceWrap(t *testing.T) {
	for _, suite := range []string{suite80, suite32} {
		key := random(30)
		out, in := newSRTP(suite, key), newSRTP(suite, key)
		for i := range uint64(5) {
			index := 0xFFFE + i
			b := out.seal(append(appendRTP(nil, false, 0, uint16(index), 0, 1), 1, 2, 3), 12, 1, index)
			if _, ok := in.open(b); !ok {
				t.Errorf("%s: packet %d of the wrap does not open", suite, i)
			}
		}
	}
}

func TestDeviceRegistersOverEachTransport(t *testing.T) {
	for _, network := range []string{"udp", "tcp", "tls"} {
		for _, qop := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/qop=%v", network, qop), func(t *testing.T) {
				w := start(t, func(c *Config) { c.Qop = qop })
				d := dial(t, w, network)
				r := d.register(3600, password)
				if r.code != 200 || !strings.Contains(r.get("Contact"), d.contact) {
					t.Fatalf("REGISTER: %d, Contact %s", r.code, r.get("Contact"))
				}
				_, p := address(r.get("Contact"))
				if e := p["expires"]; e < "165" || e > "182" {
					t.Errorf("granted %s s, want 165 to 182", e)
				}
				if !w.Online(userName) {
					t.Error("user is not online")
				}
				if r := d.register(0, password); r.code != 200 || w.Online(userName) {
					t.Errorf("un-register: %d, online %v", r.code, w.Online(userName))
				}
				w.wantNoComplaint(t)
				eventually(t, func() bool {
					w.mu.Lock()
					defer w.mu.Unlock()
					return slices.Equal(w.online, []bool{true, false})
				})
			})
		}
	}
}

func TestRegisterIsRefused(t *testing.T) {
	w := start(t, func(c *Config) { c.MaxBindings = 1 })
	if r := dial(t, w, "tcp").register(60, "wrong"); r.code != 403 {
		t.Errorf("wrong password: %d, want 403", r.code)
	}
	w.wantComplaint(t, "wrong password")
	dial(t, w, "tcp").online()
	if r := dial(t, w, "tcp").register(60, password); r.code != 603 || r.reason != "Too Many Contacts" {
		t.Errorf("second instance: %d %s, want 603", r.code, r.reason)
	}
}

func TestBindingExpires(t *testing.T) {
	w := start(t, func(c *Config) { c.Granted = func(time.Duration) time.Duration { return 50 * time.Millisecond } })
	dial(t, w, "udp").online()
	eventually(t, func() bool { return !w.Online(userName) })
}

func TestPingIsAnswered(t *testing.T) {
	w := start(t, nil)
	d := dial(t, w, "udp")
	for range 2 {
		if _, err := d.conn.Write([]byte("\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-d.pongs
	}
	d.online() // and it goes on
	w.wantNoComplaint(t)
}

// TestCallIsHeard goes through whole calls over each transport: one line, two lines, late offer, SRTP.
func TestCallIsHeard(t *testing.T) {
	two := []Line{{Title: "s party-id=a", Source: Pattern(1)}, {Title: "s party-id=b", Source: Pattern(2), Laws: []Law{PCMA}}}
	for name, in := range map[string]Invite{
		"udp/one":        {Lines: []Line{{Source: Pattern(1)}}},
		"tcp/two":        {Lines: two},
		"tls/two-srtp":   {Lines: two, SRTP: true},
		"tls/one-srtp":   {Lines: []Line{{Source: Pattern(3), Laws: []Law{PCMA, PCMU}}}, SRTP: true},
		"tcp/late":       {Lines: []Line{{Source: Pattern(1)}}, Late: true},
		"udp/withheld":   {Lines: []Line{{Source: Pattern(1)}}, WithholdACKs: 1},
		"tcp/port0":      {Lines: []Line{{Refused: true}, {Source: Pattern(1)}}},
		"tcp/no-timer":   {SessionExpires: -1},
		"udp/sendonly":   {Lines: []Line{{Direction: "sendonly"}}},
		"udp/2-percent":  {Lines: []Line{{Source: Pattern(9), Plan: Impairment{Loss: 0.02}}}},
		"udp/fixed-base": {Lines: []Line{{Plan: Impairment{StartSeq: 65534, StartTimestamp: 0xFFFFFFF0}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, nil)
			network, _, _ := strings.Cut(name, "/")
			d := dial(t, w, network)
			d.online()
			d.copies = in.WithholdACKs
			dl, invite, ack := d.invited(in)
			checkHeard(t, d, dl, invite, ack)
			var wait = make(chan error, 1)
			go func() { wait <- dl.Bye(t.Context()) }()
			d.send(d.reply(d.next("BYE"), 200))
			if err := <-wait; err != nil || dl.Cause() != "bye" {
				t.Errorf("Bye: %v, cause %q", err, dl.Cause())
			}
			<-dl.Done()
			w.wantNoComplaint(t)
		})
	}
}

// checkHeard compares what the device gets with the sources, octet by octet, and with Sent.
func checkHeard(t *testing.T, d *device, dl *Dialog, invite, ack *message) {
	t.Helper()
	body := invite.body
	if len(body) == 0 {
		body = ack.body
	}
	offer, err := parseSDP(body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range dl.Lines() {
		s := dl.Line(i)
		if offer.media[i].addr.Port() == 0 {
			if s.Accepted() {
				t.Errorf("line %d with port 0 counts as accepted", i)
			}
			continue
		}
		var key []byte
		if len(offer.media[i].cryptos) > 0 {
			key = offer.media[i].cryptos[0].key
		}
		heard := d.hear(i, 5, key)
		sent := s.Sent()
		delivered := slices.DeleteFunc(slices.Clone(sent), func(p Packet) bool { return !p.Delivered })
		for n, p := range heard {
			e := delivered[n]
			if p.seq != e.Seq || p.timestamp != e.Timestamp || p.ssrc != e.SSRC || p.pt != byte(s.Law()) {
				t.Fatalf("line %d packet %d: %d %d %x pt %d, Sent says %+v", i, n, p.seq, p.timestamp, p.ssrc, p.pt, e)
			}
			for k, o := range p.payload {
				if want := s.line.Source.Octet(s.Law(), e.Pos+int64(k)); o != want || len(p.payload) != 160 {
					t.Fatalf("line %d packet %d octet %d: %#x, want %#x", i, n, k, o, want)
				}
			}
		}
	}
}

func TestNothingIsSentBeforeTheDevice(t *testing.T) {
	w := start(t, nil)
	d := dial(t, w, "udp")
	d.online()
	got := make(chan *Dialog, 1)
	go func() {
		dl, _ := w.Invite(t.Context(), Invite{UserName: userName, FromUser: "108"})
		got <- dl
	}()
	invite := d.next("INVITE")
	d.send(d.answer(invite))
	d.next("ACK")
	dl := <-got
	_ = d.media[0].SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := d.media[0].Read(make([]byte, 2048)); err == nil {
		t.Errorf("%d octets came before our first packet", n)
	}
	d.speak(invite.body)
	d.hear(0, 3, nil)
	if dl.Line(0).Received().Packets != 1 || dl.Line(0).Remote().Port() != portOf(d.media[0]) {
		t.Errorf("received %+v from %v", dl.Line(0).Received(), dl.Line(0).Remote())
	}
	w.wantNoComplaint(t)
}

func TestSentIsExactlyWhatWentOut(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	d := dial(t, w, "udp")
	d.online()
	plan := Impairment{
		Loss: 0.1, Reorder: 0.1, Duplicate: 0.1, StartSeq: 65530, StartTimestamp: 0xFFFFFF00, Ptime: 10 * time.Millisecond,
		Pauses: []Pause{{200 * time.Millisecond, 100 * time.Millisecond}}, SSRCChangeAfter: 400 * time.Millisecond, StopAfter: 80,
	}
	dl, _, _ := d.invited(Invite{Lines: []Line{{Source: Pattern(4), Plan: plan}}})
	s := dl.Line(0)
	eventually(t, func() bool { return len(s.Sent()) == 80 })
	s.stop()
	sent := s.Sent()
	want, lost, twice, late := 0, 0, 0, 0
	for _, p := range sent {
		want += p.Count
		lost += b2i(!p.Delivered)
		twice += b2i(p.Count == 2)
	}
	heard := d.hear(0, want, nil)
	type id struct {
		ssrc uint32
		seq  uint16
	}
	count := map[id]int{}
	newest := map[uint32]uint16{}
	for _, p := range heard {
		count[id{p.ssrc, p.seq}]++
		if last, ok := newest[p.ssrc]; ok && int16(p.seq-last) < 0 {
			late++
		} else {
			newest[p.ssrc] = p.seq
		}
	}
	for n, p := range sent {
		if got := count[id{p.SSRC, p.Seq}]; got != p.Count || p.Delivered != (p.Count > 0) {
			t.Errorf("packet %d: came %d times, Sent says %+v", n, got, p)
		}
		if n > 0 && p.SSRC == sent[n-1].SSRC && p.Timestamp-sent[n-1].Timestamp != uint32(p.Pos-sent[n-1].Pos) {
			t.Errorf("packet %d: timestamp and Pos part: %+v after %+v", n, p, sent[n-1])
		}
	}
	if lost == 0 || twice == 0 || late == 0 || len(newest) != 2 {
		t.Errorf("%d lost, %d twice, %d late, %d sources: the plan did nothing", lost, twice, late, len(newest))
	}
	gap := slices.IndexFunc(sent, func(p Packet) bool { return p.Pos >= 20*80 })
	if sent[gap].Pos != 30*80 {
		t.Errorf("after the pause Pos is %d, want %d", sent[gap].Pos, 30*80)
	}
	w.wantNoComplaint(t)
}

// TestHundredStreamsKeepPace: two lines in each of 50 calls, with SRTP; each sends 50 packets a second, true to time.
func TestHundredStreamsKeepPace(t *testing.T) {
	w := start(t, func(c *Config) { c.Strict = false })
	d := dial(t, w, "tcp")
	d.online()
	var streams []*Stream
	for range 50 {
		dl, _, _ := d.invited(Invite{SRTP: true, Lines: []Line{{}, {}}})
		streams = append(streams, dl.Line(0), dl.Line(1))
	}
	last := streams[len(streams)-1]
	eventually(t, func() bool { return len(last.Sent()) > 0 })
	before := make([]int, len(streams))
	for i, s := range streams {
		before[i] = len(s.Sent())
	}
	began := time.Now()
	eventually(t, func() bool { return time.Since(began) > 400*time.Millisecond })
	for i, s := range streams {
		n, want := len(s.Sent())-before[i], int(time.Since(began)/(20*time.Millisecond))
		if n < want-5 || n > want+5 {
			t.Errorf("stream %d: %d packets in %v, want about %d", i, n, time.Since(began), want)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestTwoStreamsWithOneBeginAreInStep(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	d := dial(t, w, "tcp")
	d.online()
	begin := time.Now().Add(-time.Second)
	dl, _, _ := d.invited(Invite{Lines: []Line{{Begin: begin}, {Begin: begin}}})
	a, b := dl.Line(0), dl.Line(1)
	eventually(t, func() bool { return len(a.Sent()) > 5 && len(b.Sent()) > 5 })
	at := map[int64]time.Time{}
	for _, p := range a.Sent() {
		at[p.Pos] = p.At
	}
	for _, p := range b.Sent() {
		if when, ok := at[p.Pos]; ok && p.At.Sub(when).Abs() > 15*time.Millisecond {
			t.Errorf("Pos %d went out %v apart", p.Pos, p.At.Sub(when))
		}
		if p.Pos < 8000 || p.Pos%160 != 0 {
			t.Errorf("Pos is %d, want a multiple of 160 from 8000 on", p.Pos)
		}
	}
}

func TestInviteFails(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *Config) { c.AnswerWithin = 50 * time.Millisecond })
	call := func() error {
		_, err := w.Invite(t.Context(), Invite{UserName: userName, FromUser: "108"})
		return err
	}
	if err := call(); !errors.Is(err, ErrNoBinding) {
		t.Errorf("nobody registered: %v", err)
	}
	d := dial(t, w, "tcp")
	d.online()
	got := make(chan error, 1)
	go func() { got <- call() }()
	busy := d.reply(d.next("INVITE"), 486)
	d.send(busy)
	d.next("ACK")
	if err, ok := errors.AsType[*RefusedError](<-got); !ok || err.Code != 486 {
		t.Errorf("busy: %v", err)
	}
	d.send(busy) // a copy is acknowledged again
	d.next("ACK")

	go func() { got <- call() }()
	invite := d.next("INVITE")
	d.send(d.reply(invite, 180))
	cancel := d.next("CANCEL")
	d.send(d.reply(cancel, 200))
	d.send(d.reply(invite, 487))
	d.next("ACK")
	if err := <-got; !errors.Is(err, ErrNoAnswer) {
		t.Errorf("unanswered: %v", err)
	}
	w.wantNoComplaint(t)
	if w.CutFlows(userName) != 1 {
		t.Error("CutFlows found no flow")
	}
	if err := call(); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("lost flow: %v", err)
	}
}

// Who hangs up while the INVITE is on its way hears the answer out: what came to nothing is not left without an ACK.
func TestInviteThatIsGivenUpBeforeAnyAnswerIsEnded(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	d := dial(t, w, "tcp")
	d.online()
	for _, code := range []int{100, 200} {
		ctx, hangUp := context.WithCancel(t.Context())
		got := make(chan error, 1)
		go func() {
			c, err := w.Invite(ctx, Invite{UserName: userName, FromUser: "108"})
			if err == nil { // the 200 was quicker
				err = errors.Join(c.Bye(t.Context()), ctx.Err())
			}
			got <- err
		}()
		invite := d.next("INVITE")
		hangUp()
		if code < 200 {
			d.send(d.reply(invite, code))
			d.send(d.reply(d.next("CANCEL"), 200))
			d.send(d.reply(invite, 487))
			d.next("ACK")
		} else {
			d.send(d.answer(invite))
			d.next("ACK")
			bye := d.next("BYE")
			if got, want := tag(bye.get("To")), d.toTag; got != want {
				t.Errorf("BYE to tag %q, want %q", got, want)
			}
			d.send(d.reply(bye, 200))
		}
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("after a %d: %v", code, err)
		}
	}
	w.wantNoComplaint(t)
}

func TestRTPOfWhoNeverSpokeSIPIsNotTheDevicesFault(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	rtp := appendRTP(nil, false, 0, 1, 160, 0xDEADBEEF)
	stray, d := dial(t, w, "udp"), dial(t, w, "udp")
	if _, err := stray.conn.Write(rtp); err != nil {
		t.Fatal(err)
	}
	d.online() // so the stray one was read
	w.wantNoComplaint(t)
	if _, err := d.conn.Write(rtp); err != nil {
		t.Fatal(err)
	}
	w.wantComplaint(t, "no empty line after the headers")
}

func TestRun(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("New took an empty Config")
	}
	tr, err := New(Config{Domain: "x", UDP: "127.0.0.1:0", User: func(string) (User, bool) { return User{}, false }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Invite(context.Background(), Invite{UserName: "x"}); !errors.Is(err, ErrNoBinding) {
		t.Errorf("Invite before Run: %v", err)
	}
	if err := errors.Join(tr.Close(), tr.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
