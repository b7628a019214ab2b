package endpoint_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// takenPair holds an even UDP port and the odd one after it.
func takenPair(t *testing.T) (low uint16) {
	t.Helper()
	for range 100 {
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Close() })
		at := a.LocalAddr().(*net.UDPAddr).Port
		if at%2 == 1 {
			continue
		}
		if b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: at + 1}); err == nil {
			t.Cleanup(func() { _ = b.Close() })
			return uint16(at)
		}
	}
	t.Fatal("no free pair")
	return 0
}

func sipFiles(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, "*", "*", "*", "*", "sip.txt"))
	return found
}

func TestACallWithoutPortsSaysWhichSettingAndWhatWeAnswered(t *testing.T) {
	sim := ringsim.Start(t, ringsim.Config{Limits: plenty})
	dir := t.TempDir()
	cfg := against(t, sim, "tls", dir)
	cfg.Media.PortMin = takenPair(t)
	cfg.Media.PortMax = cfg.Media.PortMin + 1
	ep, stop := started(t, cfg)
	c := ringing(t, sim, "108")
	c.Answer()
	oracle.Eventually(t, 20*time.Second, "sip.txt", func() bool { return len(sipFiles(dir)) > 0 })
	c.Hangup()
	oracle.Eventually(t, 20*time.Second, "the call over", func() bool { return len(ep.Status().Calls) == 0 })
	stop()
	p := parts(t, dir, c)
	if len(p) != 1 || p[0].State != "no_media" || p[0].Cause != "no_capacity" || !strings.Contains(p[0].CauseText, "media.ports") {
		t.Fatalf("record: %+v, want no_media, no_capacity, with the name of the setting", p)
	}
	said := sipFiles(dir)
	if len(said) != 1 {
		t.Fatalf("sip.txt: %v", said)
	}
	if b, err := os.ReadFile(said[0]); err != nil || !strings.Contains(string(b), "->  SIP/2.0 486") {
		t.Errorf("sip.txt lacks our answer: %v\n%s", err, b)
	}
}
