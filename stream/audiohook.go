package stream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// hookBacklog bounds the server's messages that wait for the next audio, which comes within a second. Genesys allows a server 5 a second, and 25 at once.
	hookBacklog = 64
	// hookGoodbye is how long a session that fails waits for the server's last word.
	hookGoodbye = time.Second
	// hookAudio is as long as the reference client's: five messages a second.
	hookAudio = 200 * time.Millisecond
	// maxContinued bounds the earlier sessions that a new one names.
	maxContinued = 8
	// nobody is the organisation of who has none.
	nobody = "00000000-0000-0000-0000-000000000000"
)

// audiohook is a session of Genesys AudioHook v2, of which we are the client, on its WebSocket. What the server says is answered with the next audio: so one goroutine
// says all that is said.
type audiohook struct {
	*socket
	*hook
	link  *link
	in    chan hookMessage
	wrong chan error // holds the first message that could not be taken
	start time.Time
	masks []stretch
}

// hookPast is what the sessions of a stream so far came to.
type hookPast struct {
	position int64 // up to which the server was given audio, or told why not
	sessions []continued
	unsent   drops // what the server did not want, and the call was not told of yet
}

// continued names an earlier session of the same stream.
type continued struct {
	ID        string `json:"id"`
	ServerSeq int64  `json:"serverseq"`
	ClientSeq int64  `json:"clientseq"`
}

// usualAudioHook fills what the user left away.
func (c *Consumer) usualAudioHook() {
	c.Format, c.Answers = or(c.Format, FormatMulaw), or(c.Answers, TypeAudioHook)
	if c.Message == 0 {
		c.Message = hookAudio
	}
}

// checkAudioHook sees to what the form fixes.
func (c *Consumer) checkAudioHook() error {
	var errs []error
	if c.First != "" || c.Last != "" || c.KeepAlive != "" || c.Subprotocol != "" || c.Revoked != "" {
		errs = append(errs, errors.New("first, last, keepalive, subprotocol, revoked: the form of AudioHook's messages is fixed"))
	}
	if c.Format != FormatMulaw || c.Rate != media.SampleRate {
		errs = append(errs, fmt.Errorf("format: got %s at %d Hz, want mulaw at 8000", c.Format, c.Rate))
	}
	if c.header(hookKey) == "" {
		errs = append(errs, errors.New(`headers: want "X-API-KEY: ...": an AudioHook server knows its clients by it`))
	}
	if o := c.header(hookOrganization); o != "" && !isUUID(o) {
		errs = append(errs, fmt.Errorf("headers: %s: want a UUID", hookOrganization))
	}
	if _, err := c.hookSecret(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// header gives a configured header's value.
func (c *Consumer) header(name string) string {
	for _, h := range c.Headers {
		if k, v, _ := strings.Cut(h, ":"); http.CanonicalHeaderKey(strings.TrimSpace(k)) == http.CanonicalHeaderKey(name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// hookSecret is the client secret, with which requests are signed: the consumer's secret, unless that is the key in a header or in the URL; nil: they are not signed.
func (c *Consumer) hookSecret() ([]byte, error) {
	inHeader := slices.ContainsFunc(c.Headers, func(h string) bool { return strings.Contains(h, "{secret}") })
	if c.Secret == "" || inHeader || strings.Contains(c.URL, "{secret}") {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(c.Secret.Reveal()))
	if err != nil {
		return nil, errors.New("secret: want the client secret, in base64; or {secret} in the header X-API-KEY, for a server that wants no signature")
	}
	return key, nil
}

// dialAudioHook opens the WebSocket and the session.
func dialAudioHook(ctx context.Context, l *link) (session, error) {
	l.tellUnsent(l.ring.position()) // what lies behind is given again
	a := &audiohook{
		hook: &hook{id: randomUUID(), group: l.channels, position: min(l.hook.position, l.ring.position())}, link: l,
		in: make(chan hookMessage, hookBacklog), wrong: make(chan error, 1), start: time.Now(),
	}
	var err error
	if a.socket, err = dialSocket(ctx, l, dialect{heed: a.note, sign: a.sign}); err != nil {
		return nil, err
	}
	a.say("open", a.opening())
	if err = a.flush(); err == nil {
		err = a.await(ctx, func() bool { return a.state != hookOpening })
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = a.fatal(408, "no \"opened\"")
	}
	if err = errors.Join(err, a.flush()); err != nil {
		a.goodbye()
		a.close()
		return nil, err
	}
	l.hook.sessions = append(l.hook.sessions, continued{ID: a.id})
	l.hook.sessions = l.hook.sessions[max(0, len(l.hook.sessions)-maxContinued):]
	a.keepPast()
	return a, nil
}

// sign completes the request's headers.
func (a *audiohook) sign(target string, head http.Header) error {
	if head.Get(hookOrganization) == "" {
		head.Set(hookOrganization, nobody)
	}
	head.Set(hookSession, a.id)
	head.Set(hookCorrelation, uuidFor("stream", a.link.about.Stream))
	key, err := a.link.consumer.hookSecret()
	if err != nil || key == nil {
		return err
	}
	return signHook(key, target, head, hookNonce(), time.Now())
}

// opening are the parameters of open.
func (a *audiohook) opening() any {
	about := &a.link.about
	customer, agent := about.sides()
	custom := map[string]string{"call": about.Call.ID, "agent": about.Call.Agent, "role": about.Role, "party": about.Party, "stream": about.Stream}
	for k, v := range a.link.consumer.Env {
		custom[k] = v
	}
	name := channelNames[0]
	if about.Role == call.RoleAgent.String() {
		name = channelNames[1]
	}
	return struct {
		OrganizationID    string            `json:"organizationId"`
		ConversationID    string            `json:"conversationId"`
		Participant       map[string]string `json:"participant"`
		Media             []hookMedia       `json:"media"`
		ContinuedSessions []continued       `json:"continuedSessions,omitempty"`
		CustomConfig      map[string]string `json:"customConfig"`
	}{
		or(a.link.consumer.header(hookOrganization), nobody), uuidFor("call", about.Call.ID),
		map[string]string{
			"id": uuidFor("participant", about.Call.ID+"\x00"+customer.ID), "ani": customer.Number, "aniName": customer.Name, "dnis": or(agent.Number, agent.Extension),
		},
		a.offers(name), a.link.hook.sessions, custom,
	}
}

// sides gives the call's customer and agent, as far as they are known.
func (a *about) sides() (customer, agent call.Party) {
	all := a.Call.Expected
	if a.Track != nil {
		all = append(slices.Clone(all), a.Track.Party)
	}
	for _, p := range all {
		switch p.Role {
		case call.RoleCustomer:
			customer = p
		case call.RoleAgent:
			agent = p
		}
	}
	return customer, agent
}

// note takes a message of the server's from the socket's reader, for the next audio.
func (a *audiohook) note(message []byte) {
	m, err := parseHook(message)
	m.at = time.Since(a.start)
	if err == nil {
		select {
		case a.in <- m:
			return
		default:
			err = errors.New("audiohook: the server sends more messages than are read")
		}
	}
	select {
	case a.wrong <- err:
	default:
	}
}

// answer takes what has come.
func (a *audiohook) answer() error {
	for {
		select {
		case m := <-a.in:
			if err := a.take(m); err != nil {
				return err
			}
		case err := <-a.wrong:
			return errors.Join(err, a.fatal(400, "a message that can't be taken"))
		default:
			return nil
		}
	}
}

// await answers what comes until cond holds.
func (a *audiohook) await(ctx context.Context, cond func() bool) error {
	for !cond() {
		select {
		case m := <-a.in:
			if err := errors.Join(a.take(m), a.flush()); err != nil {
				return err
			}
		case err := <-a.wrong:
			return errors.Join(err, a.fatal(400, "a message that can't be taken"))
		case <-a.left:
			if len(a.in) == 0 {
				return a.ended(errLeft)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// flush sends what is to be sent.
func (a *audiohook) flush() error {
	defer func() { a.out = a.out[:0] }()
	for _, m := range a.out {
		kind, b := websocket.MessageText, m.text
		if b == nil {
			kind, b = websocket.MessageBinary, m.audio
		}
		if err := a.send(kind, b); err != nil {
			return err
		}
	}
	return nil
}

// gone implements session: what the server said before it left is read with the next audio, and one that has all that it wants may leave.
func (a *audiohook) gone() <-chan struct{} { return nil }

func (a *audiohook) write(pos int64, b []byte) error {
	err := a.answer()
	if err == nil {
		err = a.look(time.Since(a.start))
	}
	before := a.unsent
	before.runs = slices.Clone(before.runs)
	if err == nil {
		a.masks = a.link.masksFrom(a.masks[:0], pos)
		a.audio(pos, b, a.masks)
	} else if a.link.ring.past != nil {
		a.unsent.add(pos, int64(len(b)/a.group))
	}
	sent := a.flush()
	if err == nil && sent == nil {
		a.link.hook.unsent = a.takeUnsent(false)
		a.link.tellUnsent(math.MaxInt64)
		a.keepPast()
		if !a.renew {
			return nil
		}
		err = errRenew
	}
	if !errors.Is(err, errRenew) && a.link.ring.past == nil {
		a.unsent = before // the ring counts this message whole
	}
	a.link.hook.unsent = a.takeUnsent(true) // told when it is known from where the next session goes on
	switch {
	case errors.Is(err, errRenew):
	case err != nil:
		a.goodbye()
	default:
		err = sent
	}
	return err
}

// keepPast keeps for the next session what this one came to.
func (a *audiohook) keepPast() {
	past := &a.link.hook
	past.position = a.position
	past.sessions[len(past.sessions)-1] = continued{a.id, a.server, a.hook.seq}
}

// tellUnsent puts into the call's record what the server did not want of what lies before a position, and forgets the rest.
func (l *link) tellUnsent(before int64) {
	d := l.hook.unsent
	l.hook.unsent = drops{}
	var runs []stretch
	span := int64(0)
	for _, r := range d.runs {
		if r.to = min(r.to, before); r.from < r.to {
			runs = append(runs, r)
			span += r.to - r.from
		}
	}
	if runs != nil {
		l.tellDropped(runs, min(span, d.samples), "the consumer paused it")
	}
}

// finish closes the session and waits until the server has.
func (a *audiohook) finish(ctx context.Context) error {
	defer a.close()
	err := a.answer()
	reason := "end"
	if a.renew {
		reason = "reconnect"
	}
	if unsent := a.takeUnsent(true); unsent.samples > 0 { // else it is kept from a session that is renewed
		a.link.hook.unsent = unsent
	}
	a.hook.close(reason)
	if err = errors.Join(err, a.flush()); err == nil && a.state == hookClosing {
		_ = a.await(ctx, func() bool { return a.state != hookClosing })
	}
	_ = a.conn.Close(websocket.StatusNormalClosure, "")
	return err
}

// goodbye waits a moment for the server's answer to our close.
func (a *audiohook) goodbye() {
	_ = a.flush()
	ctx, cancel := context.WithTimeout(context.Background(), hookGoodbye)
	defer cancel()
	_ = a.await(ctx, func() bool { return a.state != hookClosing })
}

// close implements session; hook's is another.
func (a *audiohook) close() { a.socket.close() }
