package sip

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	gosip "github.com/emiago/sipgo/sip"
)

func TestRequestsBeyondTheGateAreDroppedAndTold(t *testing.T) {
	var out bytes.Buffer
	a, err := New(Config{
		Domain: "b", Username: "200", InstanceID: "urn:uuid:1", Handler: nobody{}, Transport: "udp", MaxCalls: 3,
		Log: slog.New(slog.NewTextHandler(&out, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := maxInside + 6; a.gate.limit != want {
		t.Errorf("limit %d, want %d", a.gate.limit, want)
	}
	for range a.gate.limit {
		if got := a.gate.enter(); got != entryGranted {
			t.Fatalf("enter: %d", got)
		}
	}
	m, err := gosip.ParseMessage([]byte("OPTIONS sip:200@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:200@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	req := m.(*gosip.Request)
	req.SetSource("127.0.0.1:5060")
	for range 10 {
		tx := &fakeTx{done: make(chan struct{})}
		if a.serve(req, tx); len(tx.res) != 0 {
			t.Errorf("answered: %v", tx.res[0])
		}
	}
	if n := a.Counters()["requests_overflow"]; n != 10 {
		t.Errorf("%d counted, want 10", n)
	}
	if got := strings.Count(out.String(), "too many requests at once"); got != 1 {
		t.Errorf("%d lines, want 1: %s", got, &out)
	}
	a.gate.leave()
	tx := &fakeTx{done: make(chan struct{})}
	if a.serve(req, tx); len(tx.res) != 1 {
		t.Error("not answered when there was room again")
	}
}
