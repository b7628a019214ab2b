package sip

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gosip "github.com/emiago/sipgo/sip"
)

// cut gives the pieces of a stream that comes n octets at a time.
func cut(b []byte, n int) (pieces []string, rest int, err error) {
	var f framer
	for c := range slices.Chunk(b, n) {
		f.add(c)
		for {
			p, err := f.next()
			if err != nil {
				return pieces, len(f.buf) - f.at, err
			}
			if p == nil {
				break
			}
			if len(pieces) > 0 && isBlank(p) && isBlank([]byte(pieces[len(pieces)-1])) {
				pieces[len(pieces)-1] += string(p) // however they came
				continue
			}
			pieces = append(pieces, string(p))
		}
	}
	return pieces, len(f.buf) - f.at, nil
}

func TestStreamIsCutIntoMessages(t *testing.T) {
	one := "OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\nl : 3\r\n\r\nabc"
	two := "BYE sip:a SIP/2.0\r\nContent-Length: 0\r\ncontent-length:0\r\n\r\n"
	stream := "\r\n\r\n" + one + "\r\n" + two + two + "\x00\r\n" + one + "\r\n"
	want := []string{"\r\n\r\n", one, "\r\n", two, two, "\x00\r\n", one, "\r\n"}
	for n := 1; n <= len(stream); n++ {
		if got, rest, err := cut([]byte(stream), n); err != nil || rest != 0 || !slices.Equal(got, want) {
			t.Fatalf("%d octets at a time: %v, %d left, got %q", n, err, rest, got)
		}
	}
}

func TestStreamWithoutBoundaryIsAnError(t *testing.T) {
	head := "OPTIONS sip:a SIP/2.0\r\n"
	for text, want := range map[string]error{
		head + "\r\n":                        errNoLength,
		head + "Content-Length: -1\r\n\r\n":  errNoLength,
		head + "Content-Length: 1x\r\n\r\n":  errNoLength,
		head + "Content-Length: \r\n\r\n":    errNoLength,
		head + "l: 1\r\nl: 2\r\n\r\nab":      errTwoLength,
		head + "l: 65535\r\n\r\n":            errTooLarge,
		head + "l: 4294967296\r\n\r\n":       errNoLength,
		strings.Repeat("a", maxMessage):      errTooLarge,
		strings.Repeat("a: b\r\n", 20_000):   errTooLarge,
		head + strings.Repeat("x", 1<<16):    errTooLarge,
		head + "X-Content-Length: 5\r\n\r\n": errNoLength,
	} {
		for _, n := range []int{7, 1000, 1 << 20} {
			if _, _, err := cut([]byte(text), n); !errors.Is(err, want) {
				t.Errorf("%.60q, %d octets at a time: got %v, want %v", text, n, err, want)
			}
		}
	}
}

func FuzzFramer(f *testing.F) {
	for _, b := range tortureFiles(f) {
		f.Add(b, uint16(7))
	}
	f.Add([]byte("\r\n\r\nOPTIONS sip:a SIP/2.0\r\nl: 1\r\n\r\nx\r\n"), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		whole, left, err := cut(b, max(len(b), 1))
		got, left2, err2 := cut(b, int(n)+1)
		if !errors.Is(err2, err) || !slices.Equal(whole, got) {
			t.Errorf("%d octets at a time: %q %v, at once %q %v", n, got, err2, whole, err)
		}
		if all := strings.Join(whole, ""); !bytes.HasPrefix(b, []byte(all)) || err == nil && (len(all)+left != len(b) || left != left2) {
			t.Errorf("octets lost: %q of %q, %d left", whole, b, left)
		}
	})
}

func tortureFiles(tb testing.TB) [][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/torture/*.dat")
	if err != nil || len(files) == 0 {
		tb.Fatalf("torture messages: %v", err)
	}
	var out [][]byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func TestBlanksAroundSeparatorsMeanNothing(t *testing.T) {
	for in, want := range map[string]string{
		`SIP  /   2.0 /UDP 192.0.2.2 ; branch = x`:   `SIP/2.0/UDP 192.0.2.2;branch=x`,
		`"a ; \" = b"  <sip:a@b> ; tag = c`:          `"a ; \" = b" <sip:a@b>;tag=c`,
		"SIP/2.0/UDP a:5060\t;rport , SIP/2.0/TCP b": `SIP/2.0/UDP a:5060;rport,SIP/2.0/TCP b`,
		`"a\`: `"a\`, ``: ``, `;`: `;`, ` a  b `: `a b`,
	} {
		if got := squeezed(in); got != want {
			t.Errorf("squeezed(%q): %q, want %q", in, got, want)
		}
	}
}

func TestRFC2543RequestsOfOneTransactionGetOneBranch(t *testing.T) {
	text := func(method, cseq string) string {
		return method + " sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c\r\nFrom: <sip:d@e>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: " + cseq + "\r\n\r\n"
	}
	branch := func(method, cseq string) string {
		m, err := gosip.ParseMessage(normalise([]byte(text(method, cseq))))
		if err != nil {
			t.Fatal(err)
		}
		return keyOfTx(m.(*gosip.Request)).branch
	}
	first := branch("INVITE", "56 INVITE")
	if !strings.HasPrefix(first, "z9hG4bK") || first != branch("ACK", "56 ACK") || first != branch("CANCEL", "56 CANCEL") || first == branch("INVITE", "57 INVITE") {
		t.Errorf("branches: %s, %s, %s, %s", first, branch("ACK", "56 ACK"), branch("CANCEL", "56 CANCEL"), branch("INVITE", "57 INVITE"))
	}
}

func FuzzNormalise(f *testing.F) {
	for _, b := range tortureFiles(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before, err := gosip.ParseMessage(b)
		if err != nil || len(b) > maxMessage {
			return
		}
		n := normalise(bytes.Clone(b))
		if len(n) > len(b)+maxAdded {
			t.Errorf("%d octets longer", len(n)-len(b))
		}
		after, err := gosip.ParseMessage(n)
		if err != nil {
			t.Skip("what parsed by accident") // a blank within a name, for instance
		}
		if callID(before) != callID(after) || !bytes.Equal(before.Body(), after.Body()) {
			t.Errorf("another message: %q of %q", n, b)
		}
		if again := normalise(bytes.Clone(n)); !bytes.Equal(again, n) {
			t.Errorf("not settled: %q, then %q", n, again)
		}
	})
}

func FuzzReject(f *testing.F) {
	for _, b := range tortureFiles(f) {
		f.Add(b)
	}
	a, err := New(Config{Domain: "b", Username: "200", InstanceID: "urn:uuid:1", Handler: nobody{}, Transport: "udp", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		res := a.reject(b)
		if res == nil {
			return
		}
		if len(res) > len(b)+100 {
			t.Errorf("%d octets of answer to %d", len(res), len(b))
		}
		first, _, _ := bytes.Cut(res, []byte("\r\n"))
		if s := string(first); s != "SIP/2.0 400 Bad Request" && s != "SIP/2.0 416 Unsupported URI Scheme" {
			t.Errorf("status line %q", s)
		}
		if head, rest, ok := bytes.Cut(res, endOfHead); !ok || len(rest) != 0 || bytes.ContainsAny(bytes.ReplaceAll(head, []byte("\r\n"), nil), "\r\n\x00\x1b") {
			t.Errorf("control characters in %q", res)
		}
		if n, err := contentLength(res); n != 0 || err != nil {
			t.Errorf("content length %d, %v, in %q", n, err, res)
		}
	})
}

func TestRefusalOfWhatCantBeParsedRepeatsWhatItMust(t *testing.T) {
	a, err := New(Config{Domain: "b", Username: "200", InstanceID: "urn:uuid:1", Handler: nobody{}, Transport: "udp"})
	if err != nil {
		t.Fatal(err)
	}
	good := "INVITE  sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKx\r\nVia:SIP/2.0/UDP i\r\nf: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\x1b[31m\r\nCSeq: 1 INVITE\r\n\r\n"
	res := string(a.reject([]byte(good)))
	for _, want := range []string{"SIP/2.0 400 ", "via: SIP/2.0/UDP h;branch=z9hG4bKx\r\nvia: SIP/2.0/UDP i\r\n", "from: <sip:c@d>;tag=1\r\n", "to: <sip:a@b>;tag=", "call-id: x_[31m\r\n", "cseq: 1 INVITE\r\n"} {
		if !strings.Contains(res, want) {
			t.Errorf("%q lacks %q", res, want)
		}
	}
	for _, bad := range []string{
		"", "\r\n\r\n", "SIP/2.0 200 OK\r\n" + good[strings.Index(good, "v:"):], "ACK" + good[6:], strings.Replace(good, "CSeq", "X", 1),
		strings.Replace(good, "f:", "x:", 1), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", strings.Replace(good, "v:", strings.Repeat("v: a\r\n", maxVias)+"v:", 1),
		fmt.Sprintf("%s sip:a SIP/2.0%s", strings.Repeat("x", 65), good[25:]),
	} {
		if res := a.reject([]byte(bad)); res != nil {
			t.Errorf("%.50q: answered %q", bad, res)
		}
	}
}
