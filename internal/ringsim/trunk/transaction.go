package trunk

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// clientTx is a request of ours and what came of it.
type clientTx struct {
	// Set by begin, then constant.
	flow    *flow
	raw     []byte
	answers chan *message   // the transaction's owner reads it; bounded, a flood is dropped
	gone    <-chan struct{} // the dialog's end: nobody answers after it

	// Owned by who called begin.
	heard    bool // a response came: the request is not repeated any more
	interval time.Duration

	// Trunk.mu guards the fields below.
	key   string
	ack   []byte // of a final response to INVITE: repeated for each copy
	final []byte // the response that ack answers
	end   time.Time
	over  bool
}

// serverTx is a request of the device, kept for its copies.
type serverTx struct {
	response []byte
	end      time.Time
}

const maxTransactions = 1 << 14

func newBranch() string { return "z9hG4bK" + hex.EncodeToString(random(10)) }

// begin registers a transaction and sends its request.
func (t *Trunk) begin(f *flow, m *message, gone <-chan struct{}) (*clientTx, error) {
	tx := &clientTx{
		flow: f, raw: m.bytes(), answers: make(chan *message, 32), gone: gone, key: m.branch() + " " + m.method, interval: t1,
	}
	t.mu.Lock()
	if t.closed || !t.running || len(t.clients) == maxTransactions {
		t.mu.Unlock()
		return nil, ErrClosed
	}
	t.clients[tx.key] = tx
	t.mu.Unlock()
	// A send that fails is as good as lost: the caller waits for an answer, as a server does.
	return tx, t.send(f, tx.raw)
}

// finish keeps the transaction for copies of its final response.
func (t *Trunk) finish(tx *clientTx, final *message, ack []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tx.over, tx.ack, tx.end = true, ack, time.Now().Add(timerB)
	if final != nil {
		tx.final = final.bytes()
	}
}

// response gives a response to its transaction, or repeats the ACK for a copy.
func (t *Trunk) response(m *message) {
	_, method := m.cseq()
	t.mu.Lock()
	tx := t.clients[m.branch()+" "+method]
	if tx == nil {
		t.mu.Unlock()
		return // a copy from long ago
	}
	if !tx.over {
		select {
		case tx.answers <- m:
		default:
		}
		t.mu.Unlock()
		return
	}
	ack, final := tx.ack, tx.final
	t.mu.Unlock()
	if ack == nil || m.code < 200 {
		return
	}
	if !bytes.Equal(final, m.bytes()) {
		t.strictly("call %s: a second, different %d to one INVITE", m.get("Call-ID"), m.code)
	}
	_ = t.send(tx.flow, ack)
}

// wait gives the transaction's next response. Over UDP the request is repeated until any response is there.
func (t *Trunk) wait(ctx context.Context, tx *clientTx) (*message, error) {
	for {
		var again <-chan time.Time
		var timer *time.Timer
		if !tx.heard && !tx.flow.reliable() {
			timer = time.NewTimer(tx.interval)
			again = timer.C
		}
		select {
		case m := <-tx.answers:
			stop(timer)
			tx.heard = true
			return m, nil
		case <-again:
			_ = t.send(tx.flow, tx.raw)
			tx.interval *= 2
			if !strings.HasSuffix(tx.key, " INVITE") { // RFC 3261 section 17.1.2.2
				tx.interval = min(tx.interval, t2)
			}
		case <-ctx.Done():
			stop(timer)
			return nil, context.Cause(ctx)
		case <-tx.gone:
			stop(timer)
			return nil, ErrEnded
		case <-t.done:
			stop(timer)
			return nil, ErrClosed
		}
	}
}

func stop(timer *time.Timer) {
	if timer != nil {
		timer.Stop()
	}
}

// exchange sends a request that is no INVITE and gives its final response.
func (t *Trunk) exchange(ctx context.Context, f *flow, m *message, gone <-chan struct{}) (*message, error) {
	ctx, cancel := context.WithTimeout(ctx, timerB)
	defer cancel()
	tx, err := t.begin(f, m, gone)
	if tx == nil || err != nil {
		if tx != nil {
			t.finish(tx, nil, nil)
		}
		return nil, err
	}
	defer t.finish(tx, nil, nil)
	for {
		r, err := t.wait(ctx, tx)
		if err != nil {
			return nil, fmt.Errorf("dialog: %s: no answer: %w", m.method, err)
		}
		if r.code >= 200 {
			return r, nil
		}
		// RFC 3261 section 17.1.2.2: copies go on at T2 after a provisional response; none of ours is that slow.
	}
}

// request answers a copy from memory, everything else by its method.
func (t *Trunk) request(f *flow, m *message) {
	t.mu.Lock()
	tx := t.servers[serverKey(m)]
	t.mu.Unlock()
	switch {
	case tx != nil:
		_ = t.send(f, tx.response)
	case m.method == "REGISTER":
		t.register(f, m)
	case tag(m.get("To")) != "" || m.method == "ACK":
		t.inDialog(f, m)
	default:
		t.outOfDialog(f, m)
	}
}

// serverKey is RFC 3261 section 17.2.3. Flow and Call-ID keep two devices apart that invent the same branch.
func serverKey(m *message) string {
	return m.branch() + " " + m.get("CSeq") + " " + m.get("Call-ID")
}

// respond completes a response with what it copies from the request, sends it and keeps it for copies of the request.
func (t *Trunk) respond(f *flow, m, r *message) {
	head := []Header{}
	for i, via := range m.all("Via") {
		if i == 0 {
			via.Value = received(via.Value, f)
		}
		head = append(head, via)
	}
	to := m.get("To")
	if tag(to) == "" {
		to += ";tag=" + hex.EncodeToString(random(6))
	}
	head = append(head, Header{"From", m.get("From")}, Header{"To", to}, Header{"Call-ID", m.get("Call-ID")},
		Header{"CSeq", m.get("CSeq")})
	r.headers = append(head, r.headers...)
	r.add("Server", "kamailio (5.7.5 (x86_64/linux))")
	raw := r.bytes()
	t.mu.Lock()
	if len(t.servers) < maxTransactions {
		t.servers[serverKey(m)] = &serverTx{response: raw, end: time.Now().Add(timerB)}
	}
	t.mu.Unlock()
	_ = t.send(f, raw)
}

// received fills in rport and received of the topmost Via, RFC 3581 section 4.
func received(via string, f *flow) string {
	if _, asked := params(via)["rport"]; !asked || strings.Contains(via, ",") {
		return via
	}
	out := strings.Replace(via, ";rport", fmt.Sprintf(";rport=%d", f.remote.Port()), 1)
	return out + ";received=" + f.remote.Addr().String()
}

func (t *Trunk) forgetTransactions(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, tx := range t.clients {
		if tx.over && now.After(tx.end) {
			delete(t.clients, key)
		}
	}
	for key, tx := range t.servers {
		if now.After(tx.end) {
			delete(t.servers, key)
		}
	}
	for nonce, end := range t.nonces {
		if now.After(end) {
			delete(t.nonces, nonce)
		}
	}
}
