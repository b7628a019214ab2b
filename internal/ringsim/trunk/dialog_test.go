package trunk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// inDialog makes a request of the device within a dialog.
func (d *device) inDialog(dl *Dialog, method string) *message {
	d.cseq++
	dl.t.mu.Lock()
	defer dl.t.mu.Unlock()
	return &message{method: method, uri: dl.own, headers: []Header{
		{"Via", fmt.Sprintf("SIP/2.0/%s %s;rport;branch=%s", strings.ToUpper(d.network), d.conn.LocalAddr(), newBranch())},
		{"Max-Forwards", "70"}, {"From", dl.remote}, {"To", dl.local}, {"Call-ID", dl.callID},
		{"CSeq", fmt.Sprintf("%d %s", d.cseq, method)}, {"Contact", "<" + d.contact + ">"},
	}}
}

// setUp is a device in a call.
func setUp(t *testing.T, network string, in Invite, change func(*Config)) (*world, *device, *Dialog, *message) {
	t.Helper()
	w := start(t, change)
	d := dial(t, w, network)
	d.online()
	dl, invite, _ := d.invited(in)
	return w, d, dl, invite
}

func TestDeviceEndsTheCall(t *testing.T) {
	w, d, dl, _ := setUp(t, "udp", Invite{}, nil)
	bye := d.inDialog(dl, "BYE")
	bye.add("Reason", `SIP;cause=200`)
	d.send(bye)
	first := d.next("200")
	<-dl.Done()
	if dl.Cause() != "bye by device: SIP;cause=200" {
		t.Errorf("cause %q", dl.Cause())
	}
	d.send(bye)
	if again := d.next("200"); !bytes.Equal(first.bytes(), again.bytes()) {
		t.Error("a copy of BYE got another response")
	}
	d.send(d.inDialog(dl, "BYE"))
	d.next("481")
	if w.Dialogs(userName) != 0 {
		t.Error("the dialog is still in the books")
	}
	w.wantNoComplaint(t)
}

func TestDeviceMustNotActOnTheCall(t *testing.T) {
	for method, code := range map[string]string{"INFO": "403", "REFER": "403", "MESSAGE": "403", "SING": "405"} {
		w, d, dl, _ := setUp(t, "tcp", Invite{}, nil)
		d.send(d.inDialog(dl, method))
		d.next(code)
		w.wantComplaint(t, method)
	}
	w := start(t, nil)
	d := dial(t, w, "tcp")
	d.send(d.request("INVITE", "sip:110@"+domain))
	d.next("403")
	w.wantComplaint(t, "INVITE from")
	d.send(d.request("OPTIONS", "sip:"+domain))
	d.next("200")
}

func TestByeMustGoToOurContact(t *testing.T) {
	w, d, dl, _ := setUp(t, "tcp", Invite{}, nil)
	bye := d.inDialog(dl, "BYE")
	bye.uri = "sip:" + domain
	d.send(bye)
	d.next("404")
	w.wantComplaint(t, "want our Contact")
}

func TestRequestsOfOurs(t *testing.T) {
	t.Parallel()
	w, d, dl, _ := setUp(t, "udp", Invite{}, nil)
	for method, send := range map[string]func(context.Context) (int, error){
		"OPTIONS": dl.Options,
		"INFO": func(ctx context.Context) (int, error) {
			return dl.Info(ctx, "application/dtmf-relay", []byte("Signal=1"))
		},
		"NOTIFY":  func(ctx context.Context) (int, error) { return dl.Notify(ctx, "check-sync") },
		"MESSAGE": func(ctx context.Context) (int, error) { return dl.Message(ctx, "x-rc/agent", []byte("<Msg/>")) },
		"UPDATE":  func(ctx context.Context) (int, error) { return 200, dl.Update(ctx) },
	} {
		got := make(chan string, 1)
		go func() {
			code, err := send(t.Context())
			got <- fmt.Sprint(code, err)
		}()
		m := d.next(method)
		if method == "UPDATE" { // repeated, as long as nothing is answered
			if again := d.next(method); !bytes.Equal(m.bytes(), again.bytes()) {
				t.Errorf("%s: the copy differs", method)
			}
		}
		d.send(d.reply(m, 200))
		if r := <-got; r != "200 <nil>" {
			t.Errorf("%s: %s", method, r)
		}
	}
	w.wantNoComplaint(t)
}

// reinvite has the device answer a re-INVITE with an SDP of that version.
func (d *device) reinvite(dl *Dialog, r Reinvite, version int) (invite, ack *message, err error) {
	d.t.Helper()
	got := make(chan error, 1)
	go func() { got <- dl.Reinvite(d.t.Context(), r) }()
	invite = d.next("INVITE")
	d.sdp = func(s string) string { return strings.Replace(s, "o=- 1 1 ", fmt.Sprintf("o=- 1 %d ", version), 1) }
	d.send(d.answer(invite))
	ack = d.next("ACK")
	return invite, ack, <-got
}

func TestReinvite(t *testing.T) {
	t.Parallel()
	w, d, dl, first := setUp(t, "tls", Invite{SRTP: true, Lines: []Line{{Laws: []Law{PCMU}, Source: Pattern(1)}}}, nil)
	d.hear(0, 1, key(t, first))
	refresh, _, err := d.reinvite(dl, Reinvite{}, 1)
	if err != nil || !bytes.Equal(refresh.body, first.body) {
		t.Errorf("refresh: %v, SDP %s\nwant %s", err, refresh.body, first.body)
	}
	moved, _, err := d.reinvite(dl, Reinvite{NewPort: true, NewKey: true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, b := parsed(t, first.body), parsed(t, moved.body)
	if a.version == b.version || a.id != b.id || a.media[0].addr == b.media[0].addr || string(key(t, first)) == string(key(t, moved)) {
		t.Errorf("re-INVITE with new port and key:\n%s\nfirst:\n%s", moved.body, first.body)
	}
	for d.drain(0) { // what was still sent from the old port, under the old key
	}
	d.rtp(0, b.media[0].addr, 8, strings.Repeat("\xFF", 160))
	d.hear(0, 3, key(t, moved))
	held, _, err := d.reinvite(dl, Reinvite{Direction: "inactive"}, 2)
	if err != nil || parsed(t, held.body).media[0].direction != "inactive" {
		t.Errorf("hold: %v\n%s", err, held.body)
	}
	n := len(dl.Line(0).Sent())
	for d.drain(0) {
	}
	if after := len(dl.Line(0).Sent()); after > n+1 {
		t.Errorf("%d packets were sent on hold", after-n)
	}
	if _, _, err = d.reinvite(dl, Reinvite{Direction: "sendrecv"}, 3); err != nil {
		t.Errorf("resume: %v", err)
	}
	d.hear(0, 3, key(t, moved))
	w.wantNoComplaint(t)
}

// drain reads one packet; false where none came for three packets' time.
func (d *device) drain(i int) bool {
	_ = d.media[i].SetReadDeadline(time.Now().Add(60 * time.Millisecond))
	_, err := d.media[i].Read(make([]byte, 2048))
	return err == nil
}

func TestReinviteWithoutSDP(t *testing.T) {
	w, d, dl, _ := setUp(t, "tcp", Invite{Lines: []Line{{Source: Pattern(1)}}}, nil)
	_, ack, err := d.reinvite(dl, Reinvite{NoSDP: true}, 2)
	if err != nil || len(ack.body) == 0 {
		t.Fatalf("re-INVITE without SDP: %v, ACK %s", err, ack.bytes())
	}
	if got := dl.Line(0).Law(); got != PCMA { // which the device's offer prefers
		t.Errorf("law is %v, want PCMA", got)
	}
	got := make(chan error, 1)
	go func() { got <- dl.Reinvite(t.Context(), Reinvite{Direction: "sendonly"}) }()
	d.send(d.reply(d.next("INVITE"), 488))
	d.next("ACK")
	if r, ok := errors.AsType[*RefusedError](<-got); !ok || r.Code != 488 {
		t.Errorf("refused re-INVITE: %v", r)
	}
	w.wantNoComplaint(t)
}

func TestCallEndsDuringAReinvite(t *testing.T) {
	w, d, dl, _ := setUp(t, "tcp", Invite{}, nil)
	got := make(chan error, 1)
	go func() { got <- dl.Reinvite(t.Context(), Reinvite{}) }()
	d.next("INVITE")
	d.send(d.inDialog(dl, "BYE"))
	if err := <-got; !errors.Is(err, ErrEnded) {
		t.Errorf("re-INVITE: %v, want %v", err, ErrEnded)
	}
	if err := dl.Reinvite(t.Context(), Reinvite{}); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v, want %v", err, ErrEnded)
	}
	w.wantNoComplaint(t)
}

func parsed(t *testing.T, sdp []byte) *session {
	t.Helper()
	s, err := parseSDP(sdp)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(t *testing.T, m *message) []byte { return parsed(t, m.body).media[0].cryptos[0].key }

func TestDialogMovesToANewFlowByReinviteOnly(t *testing.T) {
	t.Parallel()
	w, d, dl, _ := setUp(t, "tcp", Invite{Lines: []Line{{Source: Pattern(1)}}}, nil)
	sdp := d.sdpOf(dl)
	e := dial(t, w, "tcp")
	e.callID = d.callID // the same instance on a new connection
	e.cseq, e.media, e.keys, e.contact = 1000, d.media, d.keys, d.contact
	defer func() { e.media = nil }()
	e.online()
	e.send(e.inDialog(dl, "UPDATE"))
	e.next("481")
	m := e.inDialog(dl, "INVITE")
	m.add("Content-Type", "application/sdp")
	m.body = sdp
	e.send(m)
	ok := e.next("200")
	e.next("200") // repeated until its ACK
	ack := e.inDialog(dl, "ACK")
	ack.headers[5].Value = strings.Replace(m.get("CSeq"), "INVITE", "ACK", 1)
	e.send(ack)
	if got := parsed(t, ok.body).media[0].formats; !slices.Equal(got, []string{"0", "101"}) {
		t.Errorf("answer has formats %v", got)
	}
	got := make(chan error, 1)
	go func() { got <- dl.Bye(t.Context()) }()
	e.send(e.reply(e.next("BYE"), 200))
	if err := <-got; err != nil {
		t.Errorf("Bye on the new flow: %v", err)
	}
	w.wantNoComplaint(t)
}

// sdpOf is what the device said last.
func (d *device) sdpOf(dl *Dialog) []byte {
	dl.t.mu.Lock()
	defer dl.t.mu.Unlock()
	return dl.theirs
}

// TestStrictAnswers gives wrong answers, one each.
func TestStrictAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		in    Invite
		do    func(*device)
		want  string
		fatal bool
	}{
		"profile":    {Invite{SRTP: true}, replace("RTP/SAVP", "RTP/AVP"), "want the offer's audio RTP/SAVP", true},
		"lines":      {Invite{Lines: []Line{{}, {}}}, func(d *device) { d.sdp = firstLine }, "answer has 1 m-lines, want the offer's 2", true},
		"format":     {Invite{}, replace(" 0 101", " 0 13 101"), "format 13 was not offered", true},
		"no G.711":   {Invite{}, replace(" 0 101", " 111 101"), "no G.711", true},
		"tag":        {Invite{SRTP: true}, replace("crypto:1", "crypto:3"), "was not offered", true},
		"suite":      {Invite{SRTP: true}, replace("SHA1_80", "SHA1_32"), "was not offered", true},
		"no crypto":  {Invite{SRTP: true}, replace("a=crypto:1", "a=x:1"), "want 1", true},
		"short key":  {Invite{SRTP: true}, replace("inline:", "inline:AA=="), "a=crypto: key is", true},
		"no SDP":     {Invite{}, func(d *device) { d.sdp = func(string) string { return "" } }, "sdp", true},
		"direction":  {Invite{Lines: []Line{{Direction: "sendonly"}}}, replace("a=recvonly", "a=sendrecv"), "a=sendonly answered with a=sendrecv", false},
		"contact":    {Invite{}, header("Contact", "<sip:x@192.0.2.1>"), "differs from the REGISTER's", false},
		"require":    {Invite{SessionExpires: -1}, header("Require", "timer"), "Require: timer without", false},
		"no require": {Invite{}, header("Require", ""), "without Require: timer", false},
		"refresher":  {Invite{}, header("Session-Expires", "14400;refresher=uas"), "refresher=uac answered", false},
		"interval":   {Invite{}, header("Session-Expires", "30;refresher=uac"), "answered with 30s", false},
		"type":       {Invite{}, header("Content-Type", "text/plain"), "Content-Type text/plain", false},
		"no allow":   {Invite{}, header("Allow", ""), "no Allow", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, nil)
			d := dial(t, w, "tcp")
			d.online()
			c.do(d)
			got := make(chan error, 1)
			go func() {
				c.in.UserName, c.in.FromUser = userName, "108"
				_, err := w.Invite(t.Context(), c.in)
				got <- err
			}()
			d.send(d.answer(d.next("INVITE")))
			d.next("ACK")
			if c.fatal {
				d.send(d.reply(d.next("BYE"), 200))
			}
			err := <-got
			if _, refused := errors.AsType[*RefusedError](err); refused != c.fatal {
				t.Errorf("Invite: %v", err)
			}
			w.wantComplaint(t, c.want)
		})
	}
}

// replace changes the SDP of the device's answers.
func replace(a, b string) func(*device) {
	return func(d *device) { d.sdp = func(s string) string { return strings.ReplaceAll(s, a, b) } }
}

// header replaces a header of the device's 200, or takes it out.
func header(name, value string) func(*device) {
	return func(d *device) {
		d.mess = func(m *message) {
			m.headers = slices.DeleteFunc(m.headers, func(h Header) bool { return h.Name == name })
			if value != "" {
				m.add(name, value)
			}
		}
	}
}

// firstLine cuts an SDP before its second m= line.
func firstLine(s string) string {
	at := strings.LastIndex(s, "m=audio")
	return s[:at]
}

func TestKeyOfAnotherDialogIsSeen(t *testing.T) {
	w := start(t, nil)
	d := dial(t, w, "tls")
	d.online()
	d.invited(Invite{SRTP: true})
	w.wantNoComplaint(t)
	d.invited(Invite{SRTP: true})
	w.wantComplaint(t, "SDES key was used in")
}

func TestChangedCopyOfA200IsSeen(t *testing.T) {
	w := start(t, nil)
	d := dial(t, w, "udp")
	d.online()
	_, invite, _ := d.invited(Invite{})
	d.sdp = func(s string) string { return strings.Replace(s, "s=x", "s=y", 1) }
	d.send(d.answer(invite))
	d.next("ACK")
	w.wantComplaint(t, "a second, different 200")
}

func TestListenerMustBeSilent(t *testing.T) {
	for name, c := range map[string]struct {
		send func(*device, netip.AddrPort)
		want string
	}{
		"speech": {func(d *device, to netip.AddrPort) { d.rtp(0, to, 8, "\xFF\xFF\x10\xFF") }, "audible PCMU: octet 0x10"},
		"hello":  {func(d *device, to netip.AddrPort) { _, _ = d.media[0].WriteToUDPAddrPort([]byte("hello"), to) }, "5 octets that are no RTP"},
		"digit": {func(d *device, to netip.AddrPort) {
			_, _ = d.media[0].WriteToUDPAddrPort(append(appendRTP(nil, true, 101, 9, 0, 1), 1, 10, 0, 160), to)
		}, "telephone-event"},
	} {
		t.Run(name, func(t *testing.T) {
			w, d, _, invite := setUp(t, "udp", Invite{}, nil)
			c.send(d, parsed(t, invite.body).media[0].addr)
			w.wantComplaint(t, c.want)
		})
	}
}

func TestLaxTrunkLatchesOnHello(t *testing.T) {
	w := start(t, func(c *Config) { c.Strict = false })
	d := dial(t, w, "tcp")
	d.online()
	got := make(chan *Dialog, 1)
	go func() {
		dl, _ := w.Invite(t.Context(), Invite{UserName: userName, FromUser: "108", SRTP: true})
		got <- dl
	}()
	invite := d.next("INVITE")
	d.send(d.answer(invite))
	d.next("ACK")
	dl := <-got
	if _, err := d.media[0].WriteToUDPAddrPort([]byte("hello"), parsed(t, invite.body).media[0].addr); err != nil {
		t.Fatal(err)
	}
	d.hear(0, 3, key(t, invite))
	bye := d.inDialog(dl, "BYE")
	bye.uri = "sip:" + domain // as the public SDK does
	d.send(bye)
	d.next("200")
	w.wantNoComplaint(t)
}

func TestTimers(t *testing.T) {
	for name, c := range map[string]struct {
		in   Invite
		then func(*testing.T, *world, *device, *Dialog, *message)
	}{
		"a device that sends nothing gets BYE": {Invite{InactivityBye: 100 * time.Millisecond}, wantBye("no media from the device", "")},
		"a device that does not refresh gets BYE": {
			Invite{SessionExpires: time.Second, Refresher: "uas"}, wantBye("session expired", "did not refresh the session"),
		},
		"refresh by re-INVITE": {Invite{SessionExpires: time.Second}, func(t *testing.T, w *world, d *device, _ *Dialog, first *message) {
			again := d.next("INVITE")
			if !bytes.Equal(first.body, again.body) {
				t.Errorf("refresh with another SDP:\n%s", again.body)
			}
			d.send(d.answer(again))
			d.next("ACK")
			w.wantNoComplaint(t)
		}},
		"refresh by UPDATE": {
			Invite{SessionExpires: time.Second, RefreshByUpdate: true}, func(t *testing.T, w *world, d *device, _ *Dialog, _ *message) {
				d.send(d.reply(d.next("UPDATE"), 200))
				w.wantNoComplaint(t)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, d, dl, invite := setUp(t, "tcp", c.in, nil)
			c.then(t, w, d, dl, invite)
		})
	}
}

func wantBye(cause, complaint string) func(*testing.T, *world, *device, *Dialog, *message) {
	return func(t *testing.T, w *world, d *device, dl *Dialog, _ *message) {
		t.Helper()
		d.send(d.reply(d.next("BYE"), 200))
		<-dl.Done()
		if dl.Cause() != cause {
			t.Errorf("cause %q, want %q", dl.Cause(), cause)
		}
		if complaint != "" {
			w.wantComplaint(t, complaint)
		}
	}
}

func TestIdleFlowLosesTheInvite(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *Config) { c.IdleFlow, c.AnswerWithin = 50*time.Millisecond, 200*time.Millisecond })
	d := dial(t, w, "tcp")
	d.online()
	eventually(t, func() bool {
		w.Trunk.mu.Lock()
		defer w.Trunk.mu.Unlock()
		return w.bindings[userName][0].flow.forgotten
	})
	if _, err := w.Invite(t.Context(), Invite{UserName: userName, FromUser: "108"}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("Invite: %v", err)
	}
	if len(d.in) != 0 {
		t.Error("the INVITE went out on a forgotten flow")
	}
}
