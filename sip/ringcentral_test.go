package sip_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/earshot/earshot/sip"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const ringcentralGolden = "testdata/ringcentral.txtar"

// TestRingCentralsInvitesAreAnsweredAsItExpects holds each NAME/invite of the golden file against its NAME/answer: the whole
// answer as it went over TLS, and what the Handler was told.
func TestRingCentralsInvitesAreAnsweredAsItExpects(t *testing.T) {
	a, err := txtar.ParseFile(ringcentralGolden)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, f := range a.Files {
		want[f.Name] = string(f.Data)
	}
	p, h := start(t, "tls", nil)
	out := txtar.Archive{Comment: a.Comment}
	n := 0
	for _, f := range a.Files {
		name, isInvite := strings.CutSuffix(f.Name, "/invite")
		if !isInvite {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			got := p.exchange(t, h, fmt.Sprintf("rc%d", n), string(f.Data))
			out.Files = append(out.Files, f, txtar.File{Name: name + "/answer", Data: []byte(got)})
			if got != want[name+"/answer"] && !*update {
				t.Errorf("answer:\n%s\nwant:\n%s", got, want[name+"/answer"])
			}
		})
	}
	if n < 20 {
		t.Fatalf("%d INVITEs in %s, want 20 at least", n, ringcentralGolden)
	}
	if *update {
		if err := os.WriteFile(ringcentralGolden, txtar.Format(&out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// exchange sends an INVITE of the golden file, acknowledges what comes, hangs up, and gives the answer and what the Handler
// was told.
func (p *peer) exchange(t *testing.T, h *house, id, text string) string {
	t.Helper()
	d := p.newDialog(id)
	text = strings.NewReplacer("{contact}", d.contact, "{addr}", p.addr(), "{id}", id, "\n", "\r\n").Replace(text)
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	h.set(func() { h.legs = nil })
	p.send(fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body))
	res := p.final("31268 INVITE")
	ackBody := ""
	if !strings.Contains(head, "application/sdp") && res.is("200") {
		ackBody = "v=0\r\no=- 1 1 IN IP4 198.51.100.176\r\ns=SmcSip\r\nc=IN IP4 198.51.100.176\r\nt=0 0\r\nm=audio 42898 RTP/AVP 0\r\n"
	}
	to := res.get("To")
	inDialog := func(method string, seq int, body string) string {
		return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/TLS %s;branch=z9hG4bK%s%s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
			method, d.contact, p.addr(), id, method, res.get("From"), to, id, seq, method, len(body), body)
	}
	p.send(inDialog("ACK", 31268, ackBody))
	told := "not told\n"
	if res.is("200") {
		l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
		h.set(func() { told = invitationText(l.inv) })
		p.send(inDialog("BYE", 31269, ""))
		p.final("31269 BYE")
		h.ended(0)
	}
	return p.plain(d, res) + told
}

var (
	anyTag     = regexp.MustCompile(`(?m)^(To: .*;tag=)[a-z0-9]+$`)
	anyRport   = regexp.MustCompile(`;rport=\d+;received=[0-9.]+`)
	anyOrigin  = regexp.MustCompile(`(?m)^o=- [0-9]+ `)
	anyOurKey  = regexp.MustCompile(`inline:[A-Za-z0-9+/=]+`)
	anyOurPort = regexp.MustCompile(`127\.0\.0\.1:\d+;transport`)
)

// plain is a response without what is random.
func (p *peer) plain(d *dialog, m *msg) string {
	s := m.start + "\n" + strings.Join(m.lines, "\n") + "\n\n" + strings.ReplaceAll(m.body, "\r\n", "\n")
	s = strings.NewReplacer(d.contact, "{contact}", p.addr(), "{addr}", d.id, "{id}").Replace(s)
	s = anyTag.ReplaceAllString(s, "${1}TAG")
	s = anyRport.ReplaceAllString(s, ";rport=PORT;received=ADDR")
	s = anyOrigin.ReplaceAllString(s, "o=- ID ")
	s = anyOurPort.ReplaceAllString(s, "{local};transport")
	s = regexp.MustCompile(`Content-Length: [1-9]\d*`).ReplaceAllString(s, "Content-Length: N") // the o= line's length differs
	s = regexp.MustCompile(`m=audio 2\d{4} `).ReplaceAllString(s, "m=audio PORT ")
	return anyOurKey.ReplaceAllString(s, "inline:KEY")
}

func invitationText(inv *sip.Invitation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "told: from %q user %q, own %s of %s, monitored %s of %s, auto-answer %t, secure %t, late offer %t\n",
		inv.FromName, inv.FromUser, inv.Own.Party, inv.Own.Session, inv.Monitored.Party, inv.Monitored.Session, inv.AutoAnswer, inv.Secure, inv.Offer == nil)
	if inv.CallInfo != nil {
		fmt.Fprintf(&b, "told: call info %v\n", inv.CallInfo)
	}
	if id := inv.Identity; len(id.Asserted)+len(id.Diversion)+len(id.History) > 0 {
		fmt.Fprintf(&b, "told: asserted %q, diversion %q, history %q\n", id.Asserted, id.Diversion, id.History)
	}
	for _, s := range inv.Lines {
		fmt.Fprintf(&b, "told: line %d, session %q, party %q, %v\n", s.Line, s.Session, s.Party, s.Theirs)
	}
	return b.String()
}
