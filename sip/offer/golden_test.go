package offer_test

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/earshot/earshot/sip/offer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestOffersOfRealDevicesAreAnsweredAsWritten: one offer each, nothing before.
func TestOffersOfRealDevicesAreAnsweredAsWritten(t *testing.T) {
	for _, file := range []string{"testdata/negotiate.txtar", "testdata/devices.txtar"} {
		holdGolden(t, file, func(string) func([]byte) string { return answerText })
	}
}

// TestOffersInADialogAreAnsweredAsWritten: the offers of NAME/1, NAME/2 and so on follow each other in one dialog.
func TestOffersInADialogAreAnsweredAsWritten(t *testing.T) {
	dialogs := map[string]*dialog{}
	holdGolden(t, "testdata/dialogs.txtar", func(name string) func([]byte) string {
		script, _, _ := strings.Cut(name, "/")
		if dialogs[script] == nil {
			dialogs[script] = &dialog{keys: map[string]string{}}
		}
		return dialogs[script].answerText
	})
}

// dialog is what is known of one between its offers.
type dialog struct {
	x    *offer.Exchange
	keys map[string]string // our key lines, numbered
}

func (d *dialog) answerText(body []byte) string {
	o, err := offer.Parse(body)
	if err != nil {
		return "parse: " + err.Error() + "\n"
	}
	x, err := o.Negotiate(offer.Policy{}, d.x)
	if err != nil {
		return fmt.Sprintf("negotiate: %v\n", err)
	}
	if err := x.SetLocal(locals(x)); err != nil {
		return err.Error() + "\n"
	}
	d.x = x
	text := blankBut(x.Marshal(), func(k string) string {
		if d.keys[k] == "" {
			d.keys[k] = fmt.Sprintf("KEY%d", len(d.keys)+1)
		}
		return "inline:" + d.keys[k]
	})
	for _, s := range x.Streams() {
		text += streamText(s)
	}
	return text
}

// holdGolden holds each NAME/offer of a golden file against its NAME/answer: the SDP we send, and the streams that the media
// side gets.
func holdGolden(t *testing.T, golden string, answerer func(name string) func(offer []byte) string) {
	a, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	out := txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		name, isOffer := strings.CutSuffix(f.Name, "/offer")
		if !isOffer {
			continue
		}
		got := answerer(name)(f.Data)
		out.Files = append(out.Files, f, txtar.File{Name: name + "/answer", Data: []byte(got)})
		t.Run(name, func(t *testing.T) {
			if want := fileOf(a, name+"/answer"); got != want && !*update {
				t.Errorf("answer:\n%s\nwant:\n%s", got, want)
			}
		})
	}
	if len(out.Files) == 0 {
		t.Fatal("no offers in " + golden)
	}
	if *update {
		if err := os.WriteFile(golden, txtar.Format(&out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func fileOf(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func answerText(body []byte) string {
	o, err := offer.Parse(body)
	if err != nil {
		return "parse: " + err.Error() + "\n"
	}
	x, err := o.Negotiate(offer.Policy{}, nil)
	if err != nil {
		return fmt.Sprintf("negotiate: %v (nothing usable: %t)\n", err, errors.Is(err, offer.ErrNothingUsable))
	}
	if err := x.SetLocal(locals(x)); err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	b.WriteString(blank(x.Marshal()))
	for _, s := range x.Streams() {
		b.WriteString(streamText(s))
	}
	return b.String()
}

// locals gives a port to each stream, from 20000 on, in its family.
func locals(x *offer.Exchange) []offer.Local {
	var l []offer.Local
	for i, s := range x.Streams() {
		addr := netip.MustParseAddr("192.0.2.10")
		if s.IPv6 {
			addr = netip.MustParseAddr("2001:db8::10")
		}
		port := uint16(20000 + 2*i)
		l = append(l, offer.Local{RTP: netip.AddrPortFrom(addr, port), RTCP: netip.AddrPortFrom(addr, port+1)})
	}
	return l
}

var (
	anyKey     = regexp.MustCompile(`inline:[A-Za-z0-9+/=]+`)
	anySession = regexp.MustCompile(`(?m)^o=- [0-9]+ `)
)

// blank takes out what is random and the carriage returns.
func blank(sdp []byte) string { return blankBut(sdp, func(string) string { return "inline:KEY" }) }

// blankBut is blank with a name for each key.
func blankBut(sdp []byte, named func(key string) string) string {
	s := strings.ReplaceAll(string(sdp), "\r\n", "\n")
	s = anyKey.ReplaceAllStringFunc(s, named)
	return anySession.ReplaceAllString(s, "o=- ID ")
}

func streamText(s offer.Stream) string {
	var formats []string
	for _, p := range s.Payloads {
		formats = append(formats, fmt.Sprintf("%d=%v", p.Number, p.Codec))
	}
	remote := s.Remote.String()
	if s.RemoteHost != "" {
		remote = "host " + s.RemoteHost
	}
	text := fmt.Sprintf("stream: line %d to %s rtcp %s, theirs %v, ours %v, hold %t, mux %t, silence %d, %s",
		s.Line, remote, s.RemoteRTCP, s.Theirs, s.Ours, s.Hold, s.Mux, s.Silence, strings.Join(formats, " "))
	for _, part := range []struct{ name, value string }{
		{"title", s.Title}, {"session", s.Session}, {"party", s.Party}, {"label", s.Label},
	} {
		if part.value != "" {
			text += fmt.Sprintf(", %s %q", part.name, part.value)
		}
	}
	if s.RecvKey != nil {
		text += ", " + s.RecvKey.Suite
		if len(s.RecvKey.MKI) > 0 {
			text += fmt.Sprintf(" mki %x", s.RecvKey.MKI)
		}
	}
	return text + "\n"
}
