package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// folderOf waits for the sealed recording of a call.
func (d daemon) folderOf(t *testing.T, id string) string {
	t.Helper()
	dir := ""
	oracle.Eventually(t, 10*time.Second, "sealed recording of "+id, func() bool {
		sealed, _ := oracle.Folders(t, d.dir)
		for _, f := range sealed {
			if oracle.Read(t, f).Call.ID == id {
				dir = f
			}
		}
		return dir != ""
	})
	return dir
}

func TestWhatWasSaidInSIPIsShownAndKeptWhenACallFails(t *testing.T) {
	t.Parallel()
	r := registrar(t, "127.0.0.1:0")
	d := write(t, plain(r.Addr("udp"), "udp", alice.Password, "accept_from: ["+friend+"]")).runReady(t)
	good := call(t, r, 1, trunk.Invite{SRTP: true})
	heard(t, good.stream, 200*time.Millisecond)

	code, out, errs := d.command(t, "ladder", good.CallID())
	if code != 0 || !strings.Contains(out, "<-  INVITE sip:alice@") || !strings.Contains(out, "->  SIP/2.0 200 OK") || !strings.Contains(out, "<-  ACK ") {
		t.Errorf("ladder: exit code %d: %s%s", code, out, errs)
	}
	if n := strings.Count(out, "inline:"); n < 2 || n != strings.Count(out, "inline:***") {
		t.Errorf("keys in %s", out)
	}
	if code, out, errs := d.command(t, "ladder"); code != 0 || !strings.Contains(out, good.CallID()) || !strings.Contains(out, "live") {
		t.Errorf("list: exit code %d: %s%s", code, out, errs)
	}
	if code, out, errs := d.command(t, "ladder", "--registration"); code != 0 || !strings.Contains(out, "->  REGISTER sip:sip.test SIP/2.0") ||
		!strings.Contains(out, "<-  SIP/2.0 401 ") || !strings.Contains(out, "username=\"alice-auth\"") || strings.Contains(out, "response=") || strings.Contains(out, "nonce=") {
		t.Errorf("registration: exit code %d: %s%s", code, out, errs)
	}
	if code, _, errs := d.command(t, "ladder", "nobody"); code != 1 || !strings.Contains(errs, "nobody") || !strings.Contains(errs, "hint: ") {
		t.Errorf("of no call: exit code %d: %s", code, errs)
	}
	good.hangUp(t)

	mute := newPeer(t, friend, d.sipAddr(t))
	if code := mute.final(t, mute.request("INVITE", "mute", "", goodSDP), 5*time.Second); code != 200 {
		t.Fatalf("INVITE: %d", code)
	}
	_, answer, _ := strings.Cut(d.ladder(t, "mute"), "SIP/2.0 200 OK")
	_, answer, _ = strings.Cut(answer, "To: ")
	tag := between(answer, ";tag=", "\\n")
	if code := mute.final(t, mute.request("BYE", "mute", ";tag="+tag, ""), 5*time.Second); code != 200 {
		t.Fatalf("BYE with the tag %q: %d", tag, code)
	}
	b, err := os.ReadFile(filepath.Join(d.folderOf(t, "mute"), "sip.txt"))
	if text := string(b); err != nil || !strings.Contains(text, "INVITE sip:alice@") || !strings.Contains(text, "m=audio 40000") || !strings.Contains(text, "BYE sip:alice@") {
		t.Errorf("sip.txt of the call without media: %v: %s", err, text)
	}
	if _, err := os.Stat(filepath.Join(d.folderOf(t, good.CallID()), "sip.txt")); !os.IsNotExist(err) {
		t.Errorf("sip.txt of a good call: %v, want none", err)
	}
	if code, out, _ := d.command(t, "ladder", good.CallID()); code != 0 || !strings.Contains(out, "BYE ") {
		t.Errorf("ladder of a call that is over: exit code %d: %s", code, out)
	}
	d.terminate(t)
}

// ladder is `earshot ladder CALL --json`.
func (d daemon) ladder(t *testing.T, id string) string {
	t.Helper()
	code, out, errs := d.command(t, "ladder", id, "--json")
	if code != 0 {
		t.Fatalf("ladder %s: exit code %d: %s", id, code, errs)
	}
	return out
}

func TestRegistrationThatFailsLeavesItsSIP(t *testing.T) {
	t.Parallel()
	r := registrar(t, "127.0.0.1:0")
	d := write(t, plain(r.Addr("tcp"), "tcp", "wrong-made-up-pw")).run(t)
	var text string
	oracle.Eventually(t, 20*time.Second, "the file", func() bool {
		b, err := os.ReadFile(filepath.Join(d.dir, "state", "registration-alice-auth.txt"))
		text = string(b)
		return err == nil
	})
	if !strings.Contains(text, "->  REGISTER sip:sip.test") || !strings.Contains(text, "Authorization: Digest") || strings.Contains(text, "response=") {
		t.Errorf("got %s", text)
	}
	d.terminate(t)
}
