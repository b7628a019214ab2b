package sip

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip/offer"
)

// fakeTx is a server transaction that keeps what it was given.
type fakeTx struct {
	mu   sync.Mutex
	res  []*gosip.Response
	done chan struct{}
}

func (f *fakeTx) Respond(r *gosip.Response) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.res = append(f.res, r)
	return nil
}
func (f *fakeTx) Acks() <-chan *gosip.Request          { return nil }
func (f *fakeTx) OnCancel(gosip.FnTxCancel) bool       { return true }
func (f *fakeTx) Terminate()                           {}
func (f *fakeTx) OnTerminate(gosip.FnTxTerminate) bool { return true }
func (f *fakeTx) Done() <-chan struct{}                { return f.done }
func (f *fakeTx) Err() error                           { return nil }

type nobody struct{}

func (nobody) Invited(context.Context, *Invitation) (Leg, error) { return idle{}, nil }

type idle struct{}

func (idle) Prepare(s []offer.Stream) ([]offer.Local, func(), func(), error) {
	return make([]offer.Local, len(s)), nil, nil, nil // no addresses: SetLocal refuses them, so no dialog is left behind
}
func (idle) Established(*Dialog)         {}
func (idle) Digit(string, time.Duration) {}
func (idle) Silence() time.Duration      { return 0 }
func (idle) Ended(call.Cause)            {}

// Whatever sipgo's parser lets through gets exactly one final answer (ACK: none), and no panic.
func FuzzRouter(f *testing.F) {
	for _, m := range []string{"INVITE", "ACK", "BYE", "CANCEL", "INFO", "FOO"} {
		f.Add([]byte(m + " sip:200@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:200@b>\r\nCall-ID: x\r\nCSeq: 1 " + m + "\r\nContent-Length: 0\r\n\r\n"))
		f.Add([]byte(m + " sip:200@127.0.0.1 SIP/2.0\r\nCSeq: 1 " + m + "\r\n\r\n"))
	}
	f.Add([]byte("INVITE sip:200@127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1\r\nf: <sip:a@b>;TAG=1\r\nt: <sip:200@b>\r\ni: x\r\nCSeq: 1 INVITE\r\nReplaces: a;b\r\nc: multipart/mixed;boundary=x\r\n\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n"))
	for _, b := range tortureFiles(f) {
		f.Add(b)
	}
	a, err := New(Config{
		Domain: "b", Username: "200", InstanceID: "urn:uuid:1", Handler: nobody{}, Transport: "udp", RingCentral: true,
		Log: slog.New(slog.DiscardHandler), tune: tuning{reorderWait: time.Microsecond},
	})
	if err != nil {
		f.Fatal(err)
	}
	a.flow = a.newFlow(target{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := gosip.ParseMessage(normalise(b))
		if err != nil {
			return
		}
		req, ok := m.(*gosip.Request)
		if !ok {
			return
		}
		req.SetSource("127.0.0.1:5060")
		tx := &fakeTx{done: make(chan struct{})}
		before := a.Counters()["panics"]
		a.serve(req, tx)
		final := 0
		for _, r := range tx.res {
			if r.StatusCode >= 200 {
				final++
			}
			_ = r.String()
		}
		want := 1
		if req.Method == gosip.ACK {
			want = 0
		}
		if final != want || a.Counters()["panics"] != before {
			t.Errorf("%d final answers, want %d, to %q", final, want, b)
		}
		if n := a.calls.count() + len(a.calls.invites); n != 0 {
			t.Errorf("%d calls left behind by %q", n, strings.TrimSpace(string(b)))
		}
	})
}
