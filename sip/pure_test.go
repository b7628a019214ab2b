package sip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gosip "github.com/emiago/sipgo/sip"
)

func response(t *testing.T, headers ...string) *gosip.Response {
	t.Helper()
	text := "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nCSeq: 1 REGISTER\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	m, err := gosip.ParseMessage([]byte(text + "Content-Length: 0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*gosip.Response)
}

func TestGrantedExpiry(t *testing.T) {
	const contact = `<sip:200@192.0.2.10:51234;transport=TLS;ob>;reg-id=1;+sip.instance="<urn:uuid:1>"`
	own := ownContacts{instance: "urn:uuid:1", present: "200@192.0.2.10:51234", before: []string{"200@192.0.2.8:2", "200@192.0.2.10:51234"}}
	for name, c := range map[string]struct {
		headers []string
		want    bindings
	}{
		"own":                                {[]string{"Contact: " + contact + ";expires=59"}, bindings{59 * time.Second, true, 0, ""}},
		"own before header":                  {[]string{"Contact: " + contact + ";expires=59", "Expires: 3600"}, bindings{59 * time.Second, true, 0, ""}},
		"own among others":                   {[]string{"Contact: <sip:200@1.1.1.1>;expires=10, " + contact + ";EXPIRES=70", `m: <sip:200@192.0.2.10:51234>;+sip.instance="<urn:uuid:2>";expires=5`}, bindings{70 * time.Second, true, 2, ""}},
		"own is over":                        {[]string{"Contact: " + contact + ";expires=0", "Expires: 3600"}, bindings{0, true, 0, ""}},
		"one of ours is over":                {[]string{"Contact: " + contact + ";expires=60, <sip:200@192.0.2.9:1>;+sip.instance=\"<urn:uuid:1>\";expires=0"}, bindings{60 * time.Second, true, 0, ""}},
		"own by address":                     {[]string{"Contact: <sip:200@192.0.2.10:51234>;expires=61"}, bindings{61 * time.Second, true, 0, ""}},
		"own without expires":                {[]string{"Contact: " + contact, "Expires: 120"}, bindings{120 * time.Second, true, 0, ""}},
		"foreign only":                       {[]string{"Contact: <sip:12055550101@10.128.0.4:52152;transport=TLS;ob>;expires=182;q=0"}, bindings{182 * time.Second, false, 1, ""}},
		"foreign and header":                 {[]string{"Contact: <sip:x@1.1.1.1>;expires=182", "Expires: 60"}, bindings{60 * time.Second, false, 1, ""}},
		"two foreign":                        {[]string{"Contact: <sip:x@1.1.1.1>;expires=182, <sip:y@1.1.1.1>;expires=90"}, bindings{90 * time.Second, false, 2, ""}},
		"nothing":                            {nil, bindings{time.Hour, false, 0, ""}},
		"own with nothing":                   {[]string{"Contact: " + contact}, bindings{time.Hour, true, 0, ""}},
		"rubbish":                            {[]string{"Contact: " + contact + ";expires=soon", "Expires: -1"}, bindings{time.Hour, true, 0, ""}},
		"an elder one of ours":               {[]string{"Contact: " + contact + ";expires=60, <sip:200@192.0.2.9:1>;+sip.instance=\"<urn:uuid:1>\";expires=3000"}, bindings{60 * time.Second, true, 0, "<sip:200@192.0.2.9:1>;expires=0"}},
		"an elder one, known by its address": {[]string{"Contact: <sip:200@192.0.2.10:51234>;expires=60, <sip:200@192.0.2.8:2>;expires=3000"}, bindings{60 * time.Second, true, 0, "<sip:200@192.0.2.8:2>;expires=0"}},
		"ours, rewritten":                    {[]string{"Contact: <sip:200@198.51.100.7:6>;+sip.instance=\"<urn:uuid:1>\";expires=60"}, bindings{60 * time.Second, true, 0, ""}},
		"longer than sensible":               {[]string{"Contact: " + contact + ";expires=4294967295"}, bindings{maxGranted, true, 0, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readBindings(response(t, c.headers...), own, time.Hour); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestPartyRefsAreReadByKey(t *testing.T) {
	want := PartyRef{Session: "s-1", Party: "p-1-2"}
	for _, in := range []string{
		"party-id=p-1-2;session-id=s-1", "session-id=s-1; party-id=p-1-2", " Session-ID = s-1 ;;PARTY-ID= p-1-2; x", "party-id=p-1-2;session-id=s-1;party-id=other",
	} {
		if got := partyRef(in); got != want {
			t.Errorf("%q: got %+v", in, got)
		}
	}
	if got := partyRef("nothing"); got != (PartyRef{}) {
		t.Errorf("got %+v", got)
	}
}

func TestCallInfo(t *testing.T) {
	got := callInfo("callAttributes=queue-call,reject;callerIdName=Bob;displayInfo=queueName;queueName=Sales\x01")
	want := map[string]string{"callAttributes": "queue-call,reject", "callerIdName": "Bob", "displayInfo": "queueName", "queueName": "Sales_"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if callInfo("") != nil {
		t.Error("nothing gives something")
	}
}

func FuzzRingCentralHeaders(f *testing.F) {
	f.Add("party-id=p-1;session-id=s-1")
	f.Add("session-id=s-1; party-id=p-1;\x00=\xff")
	f.Add("callAttributes=queue-call,reject;callerIdName=Bob")
	f.Fuzz(func(t *testing.T, s string) {
		check := func(v string) {
			if len(v) > 3*maxText || !utf8.ValidString(v) || strings.ContainsAny(v, "\r\n\x00") {
				t.Errorf("%q gives %q", s, v)
			}
		}
		r := partyRef(s)
		check(r.Session)
		check(r.Party)
		m := callInfo(s)
		if len(m) > maxFields {
			t.Errorf("%d fields", len(m))
		}
		for k, v := range m {
			check(k)
			check(v)
		}
		check(clean(s, maxText))
		readDTMF("application/dtmf-relay", []byte(s))
		_ = shown(s)
	})
}

func TestCleanIsValidAndShort(t *testing.T) {
	for in, want := range map[string]string{
		"../../etc/passwd": "../../etc/passwd", "a\r\nb\x00": "a__b_", "\xff\xfe": "__", "grüß": "grüß", strings.Repeat("ü", 200): strings.Repeat("ü", 128),
		strings.Repeat("x", 255) + "ü": strings.Repeat("x", 255),
	} {
		if got := clean(in, 256); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestSessionTimer(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		ok      bool
		want    sessionTimer
		out     string
		due     time.Duration
	}{
		"ringcentral":   {[]string{"Supported: replaces, timer", "Session-Expires: 14400;refresher=uac", "Min-SE: 90"}, true, sessionTimer{seconds: 14400, ours: false, peer: true}, "Session-Expires 14400;refresher=uac Require timer", 14368 * time.Second},
		"none":          {[]string{"Supported: timer"}, true, sessionTimer{seconds: 0, ours: false, peer: true}, "", 0},
		"compact, uas":  {[]string{"k: timer", "x: 1800 ; Refresher=UAS"}, true, sessionTimer{seconds: 1800, ours: true, peer: true}, "Session-Expires 1800;refresher=uas Require timer", 900 * time.Second},
		"no refresher":  {[]string{"Require: timer", "Session-Expires: 90"}, true, sessionTimer{seconds: 90, ours: false, peer: true}, "Session-Expires 90;refresher=uac Require timer", 60 * time.Second},
		"not supported": {[]string{"Session-Expires: 1800"}, true, sessionTimer{seconds: 1800, ours: true, peer: false}, "Session-Expires 1800;refresher=uas", 900 * time.Second},
		"too small":     {[]string{"Supported: timer", "Session-Expires: 89"}, false, sessionTimer{peer: true}, "", 0},
		"small, proxy":  {[]string{"Session-Expires: 30"}, true, sessionTimer{seconds: 90, ours: true, peer: false}, "Session-Expires 90;refresher=uas", 45 * time.Second},
		"rubbish":       {[]string{"Supported: timer", "Session-Expires: many"}, true, sessionTimer{peer: true}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := offeredTimer(response(t, c.headers...))
			if got != c.want || ok != c.ok {
				t.Fatalf("got %+v %v, want %+v %v", got, ok, c.want, c.ok)
			}
			if out := strings.Join(got.headers(), " "); out != c.out && ok {
				t.Errorf("headers: got %q, want %q", out, c.out)
			}
			if due := got.due(time.Second); got.seconds > 0 && due != c.due {
				t.Errorf("due %v, want %v", due, c.due)
			}
		})
	}
}

// names is a fake DNS.
type names struct {
	addrs map[string][]string
	srv   map[string][]*net.SRV
}

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, a := range n.addrs[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	if out == nil {
		return nil, errors.New("no such host")
	}
	return out, nil
}

func (n names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if r := n.srv["_"+service+"._"+proto+"."+name]; r != nil {
		return "", r, nil
	}
	return "", nil, errors.New("no such record")
}

func TestResolve(t *testing.T) {
	dns := names{
		addrs: map[string][]string{"a.example.com": {"2001:db8::1", "192.0.2.1", "192.0.2.2"}, "b.example.com": {"192.0.2.9"}, "example.com": {"192.0.2.5"}},
		srv: map[string][]*net.SRV{
			"_sips._tcp.example.com": {{Target: "b.example.com.", Port: 5096}, {Target: "gone.example.com.", Port: 1}, {Target: "a.example.com.", Port: 5097}},
			"_sip._udp.example.com":  {{Target: ".", Port: 0}},
		},
	}
	for name, c := range map[string]struct{ proxy, transport, want string }{
		"address and port":  {"192.0.2.77:5096", "tls", "192.0.2.77:5096"},
		"address":           {"192.0.2.77", "tls", "192.0.2.77:5061"},
		"ipv6":              {"[2001:db8::7]:5090", "tcp", "[2001:db8::7]:5090"},
		"bare ipv6":         {"2001:db8::7", "udp", "[2001:db8::7]:5060"},
		"name and port":     {"a.example.com:5090", "tcp", "192.0.2.1:5090 192.0.2.2:5090 [2001:db8::1]:5090"},
		"port means no srv": {"example.com:5061", "tls", "192.0.2.5:5061"},
		"srv":               {"example.com", "tls", "192.0.2.9:5096 192.0.2.1:5097 192.0.2.2:5097 [2001:db8::1]:5097"},
		"no srv":            {"example.com", "tcp", "192.0.2.5:5060"},
		"srv says no":       {"example.com", "udp", "192.0.2.5:5060"},
		"unknown":           {"x.example.com", "udp", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			ts, err := resolve(t.Context(), dns, c.proxy, c.transport)
			var got []string
			for _, x := range ts {
				got = append(got, x.addr.String())
			}
			if err != nil {
				got = []string{"error"}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %s (%v), want %s", s, err, c.want)
			}
		})
	}
}

func TestFailedProxiesAreTriedLast(t *testing.T) {
	var ts []target
	for i := range 3 {
		ts = append(ts, target{addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:5060", i))})
	}
	now := time.Unix(1e9, 0)
	p := proxies{rest: 30 * time.Second, last: ts[2].addr}
	order := func() string {
		var s string
		for _, x := range p.order(ts, now) {
			s += fmt.Sprint(x.addr.Addr().As4()[3])
		}
		return s
	}
	if got := order(); got != "201" {
		t.Errorf("the working one first: got %s", got)
	}
	p.failed(ts[2].addr, now, 0)
	p.failed(ts[0].addr, now, time.Minute)
	if got := order(); got != "102" {
		t.Errorf("failed ones last: got %s", got)
	}
	now = now.Add(30 * time.Second)
	if got := order(); got != "120" {
		t.Errorf("rest is over for one: got %s", got)
	}
}

func TestSIPgosLogIsShortDebugAndWithoutSecrets(t *testing.T) {
	var out bytes.Buffer
	log := quietLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.With("caller", "x").WithGroup("g").Error("failed to parse", "data", "INVITE\r\nAuthorization: Digest response=\"secret1\"\r\n"+strings.Repeat("y", 5000))
	log.Warn("sdp", "data", "a=crypto:1 AES inline:secret2", "n", 5)
	log.Info("AUTHORIZATION: secret3")
	text := out.String()
	if strings.Contains(text, "secret") || len(text) > 2000 || strings.Contains(text, "level=ERROR") || strings.Count(text, "\n") != 3 {
		t.Errorf("got %s", text)
	}
	out.Reset()
	quietLog(slog.New(slog.NewTextHandler(&out, nil))).Error("x")
	if out.Len() != 0 {
		t.Errorf("at info: got %s", out.String())
	}
}

func TestCancelMemoryIsBounded(t *testing.T) {
	var c calls
	c.init(10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.cancel(ctx, txKey{branch: "a"}, inviteKey{}, time.Hour)
	}()
	for {
		c.mu.Lock()
		n := len(c.cancels)
		c.mu.Unlock()
		if n == 1 {
			break
		}
	}
	if _, early := c.cancel(t.Context(), txKey{branch: "a"}, inviteKey{}, time.Hour); early {
		t.Error("a second CANCEL waits too")
	}
	cancel()
	<-done
	if len(c.cancels) != 0 {
		t.Error("left behind")
	}
}

func TestMemoOfAFailedInviteGivesTheSameAnswer(t *testing.T) {
	var c calls
	c.init(10)
	now := time.Unix(1e9, 0)
	inv := &invite{tx: txKey{branch: "a"}, id: inviteKey{callID: "x", seq: 1}}
	if a, _ := c.admit(inv, now); a != admitted {
		t.Fatalf("got %d", a)
	}
	c.settle(inv, 488, now)
	again := &invite{tx: txKey{branch: "b"}, id: inv.id}
	if a, code := c.admit(again, now.Add(59*time.Second)); a != admitAgain || code != 488 {
		t.Errorf("got %d %d", a, code)
	}
	if a, _ := c.admit(again, now.Add(61*time.Second)); a != admitted {
		t.Errorf("a minute later: got %d", a)
	}
}

// Tests run with shorter times: these are what docs/sip.md says, and what RFC 5626 section 4.4.1 allows at most.
func TestWaitsAreTheDocumented(t *testing.T) {
	d := tuning{}.orDefault()
	for name, c := range map[string][2]time.Duration{
		"dial": {d.dialLimit, 5 * time.Second}, "write": {d.writeLimit, 5 * time.Second}, "message": {d.messageLimit, 10 * time.Second},
		"answer to REGISTER": {d.registerLimit, 8 * time.Second}, "un-register": {d.unregLimit, 2 * time.Second}, "judge by REGISTER": {d.probeEvery, 30 * time.Second},
		"first ping": {d.firstPing, 2 * time.Second}, "pong": {d.pongLimit, 8 * time.Second}, "proxy rests": {d.proxyRest, 30 * time.Second},
		"T1": {d.t1, 500 * time.Millisecond}, "T2": {d.t2, 4 * time.Second}, "reorder": {d.reorderWait, 200 * time.Millisecond},
		"re-INVITE": {d.reinviteLimit, 32 * time.Second}, "silence": {d.silence, 10 * time.Second}, "BYEs": {d.byeLimit, 5 * time.Second}, "unit": {d.second, time.Second},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %v, want %v", name, c[0], c[1])
		}
	}
}
