package endpoint_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/supervise"
)

func TestPreflightMeasuresTheDiskAgainstTheLoad(t *testing.T) {
	cfg := endpoint.Config{
		Supervisors: []endpoint.Supervisor{{}}, Record: &recorder.Config{Dir: t.TempDir(), Format: recorder.FormatWAV},
		Media: media.Config{ListenIP: netip.MustParseAddr("192.0.2.1"), PortMin: 20000, PortMax: 20009},
	}
	got := endpoint.Preflight(cfg, true, 0, 100)
	if len(got) != 1 || got[0].What != "disk" || got[0].Mark == supervise.MarkFail {
		t.Errorf("beside a daemon: got %+v, want the disk alone", got)
	}
	got = endpoint.Preflight(cfg, false, 1_000_000, 50)
	if len(got) != 3 || got[1].What != "descriptors" || got[0].Mark != supervise.MarkFail || !strings.Contains(got[0].Do, "media.listen_ip") {
		t.Errorf("ports of an address that is not ours: got %+v", got)
	}
	if len(got) == 3 && (got[2].Mark != supervise.MarkWarn || !strings.Contains(got[2].Found, "write 460800.0 GB a day of 8 hours (wav, channels: 2): full in 0 days")) {
		t.Errorf("a million calls, half of them heard: got %+v", got[2])
	}
}

func TestPreflightLooksAtWhoMayListen(t *testing.T) {
	const one, other = "age10uwxn7k9gsv5vfw9wytusl5zptxqwxpyv36ft9g3ane23uydda0smvr7dz", "age193e8f9ss03ccxluhdudscu4mhcmcs3wpcjhlm8rfgjh6ya50acvqt75jvv"
	for _, c := range []struct {
		list []string
		mark string
		want string
	}{
		{[]string{one, other}, supervise.MarkOK, "audio is encrypted to age recipients: 2"},
		{[]string{one}, supervise.MarkWarn, "audio is encrypted to age recipients: 1"},
		{[]string{one, "age1x"}, supervise.MarkFail, "recipients[1]: "},
	} {
		got := endpoint.Preflight(endpoint.Config{Record: &recorder.Config{Dir: t.TempDir(), Recipients: c.list}}, true, 0, 100)
		if len(got) != 2 || got[1].Mark != c.mark || !strings.Contains(got[1].Found, c.want) || (c.mark == supervise.MarkOK) != (got[1].Do == "") {
			t.Errorf("%v: got %+v, want %s: %s", c.list, got, c.mark, c.want)
		}
	}
}

func TestStatusBecomesFindings(t *testing.T) {
	st := endpoint.Status{
		Devices: []endpoint.DeviceStatus{
			{Device: "1", Registered: true, Status: "registered", Proxy: "p:5096", Others: 2},
			{Device: "2", Status: "rejected", Code: 403, Reason: "Forbidden", Hint: "check the password"},
			{Device: "3", Status: "backoff", Reason: "connection refused"},
		},
	}
	got := st.Findings()
	var b strings.Builder
	for _, f := range got {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Mark, f.What, f.Found)
		if f.What == "sip 2" && f.Do != "check the password" {
			t.Errorf("to do: %q, want the account's own hint", f.Do)
		}
		if (f.Mark == supervise.MarkOK) != (f.Do == "") {
			t.Errorf("%+v: want something to do where it is not ok", f)
		}
	}
	for _, want := range []string{"ok sip 1: registered since", "FAIL sip 2: rejected: 403 Forbidden\n", "FAIL sip 3: backoff: connection refused\n", "warn sip 1: the registrar lists 2 Contacts of another program\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &b)
		}
	}
	starting := endpoint.Status{Checks: []endpoint.Check{{Name: "sip", Text: "waiting for the device's SIP account"}, {Name: "disk", OK: true}}}
	if got := starting.Findings(); len(got) != 1 || got[0].Mark != supervise.MarkFail {
		t.Errorf("before there is a device: got %+v", got)
	}
}
