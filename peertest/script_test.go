package peertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script writes a scenario of sipp, step by step; a scenario that goes otherwise than written fails.
type script struct {
	b    strings.Builder
	seq  int
	last string // CSeq number and method of the last INVITE
}

// sdpPlain is what sipp offers where a test does not care.
const sdpPlain = "v=0\no=- [pid] 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\nm=audio [auto_media_port] RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n"

func (s *script) xml(format string, args ...any) { fmt.Fprintf(&s.b, format+"\n", args...) }

// message writes a send: the start line and what every request of ours carries, headers, a body (SDP, unless they name its type).
func (s *script) message(attrs, start, to, cseq, via, headers, body string) {
	s.xml("  <send%s><![CDATA[", attrs)
	lines := []string{
		start + " SIP/2.0", "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=" + via, "From: <sip:sipp@sip.test>;tag=[pid]f[call_number]",
		"To: " + to, "Call-ID: [call_id]", "CSeq: " + cseq, "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>",
	}
	if !strings.Contains(headers, "Max-Forwards") {
		lines = append(lines, "Max-Forwards: 70")
	}
	if headers != "" {
		lines = append(lines, strings.Split(headers, "\n")...)
	}
	if body != "" && !strings.Contains(headers, "Content-Type") {
		lines = append(lines, "Content-Type: application/sdp")
	}
	s.xml("%s\nContent-Length: [len]\n\n%s", strings.Join(lines, "\n"), body)
	s.xml("  ]]></send>")
}

// invite begins a call, with a CSeq of its own.
func (s *script) invite(headers, body string) *script {
	s.seq++
	s.last = fmt.Sprint(s.seq)
	s.message(` retrans="500"`, "INVITE sip:[service]@sip.test", "<sip:[service]@sip.test>", s.last+" INVITE", "[branch]", headers, body)
	return s
}

// refused wants a final no to an INVITE, and acknowledges it. check looks at the answer: a regular expression, or "".
func (s *script) refused(code int, check string) *script {
	s.xml(`  <recv response="100" optional="true"/>`)
	s.recv(code, check)
	s.message("", "ACK sip:[service]@sip.test", "[last_To:]", s.last+" ACK", "[branch-1]", "", "")
	return s
}

// answered wants a 200 with no ringing before it, whatever 1xx the caller requires to be reliable.
func (s *script) answered(check string) *script {
	s.xml(`  <recv response="100" optional="true"/>`)
	return s.recv(200, check)
}

// recv wants a response.
func (s *script) recv(code int, check string) *script {
	s.xml(`  <recv response="%d" rrs="true">%s</recv>`, code, matching(check))
	return s
}

// hears wants a request of earshot's and answers it.
func (s *script) hears(method, check string) *script {
	s.xml(`  <recv request="%s">%s</recv>`, method, matching(check))
	s.xml("  <send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n  ]]></send>")
	return s
}

func matching(check string) string {
	if check == "" {
		return ""
	}
	check = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;").Replace(check)
	return fmt.Sprintf(`<action><ereg regexp="%s" search_in="msg" check_it="true" assign_to="found"/></action>`, check)
}

// in sends a request of the dialog; ACK has the CSeq of the INVITE before it.
func (s *script) in(method, headers, body string) *script {
	attrs, cseq := ` retrans="500"`, s.last
	if method == "ACK" {
		attrs = ""
	} else {
		s.seq++
		cseq = fmt.Sprint(s.seq)
	}
	if method == "INVITE" {
		s.last = cseq
	}
	s.message(attrs, method+" [next_url]", "<sip:[service]@sip.test>[peer_tag_param]", cseq+" "+method, "[branch]", strings.TrimSpace("[routes]\n"+headers), body)
	return s
}

func (s *script) ack() *script { return s.in("ACK", "", "") }

// bye hangs up.
func (s *script) bye(headers string) *script { return s.in("BYE", headers, "").recv(200, "") }

func (s *script) pause(d time.Duration) *script {
	s.xml(`  <pause milliseconds="%d"/>`, d.Milliseconds())
	return s
}

// file writes the scenario into dir.
func (s *script) file(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "script.xml")
	text := "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=\"script\">\n" + s.b.String()
	if strings.Contains(text, `assign_to="found`) {
		text += "  <Reference variables=\"found\"/>\n"
	}
	if err := os.WriteFile(path, []byte(text+"</scenario>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
