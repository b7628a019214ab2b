package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

const (
	takeoverPath  = "/takeover"
	takeoverProto = "earshot-takeover/1"
	// maxLine bounds one line of a Link: some ten thousand calls.
	maxLine = 8 << 20
	// lineTimeout bounds the writing of a line: who does not read is no successor.
	lineTimeout = 5 * time.Second
)

// The lines of a take-over, in their order; old is the process that works, new the one that wants to.
const (
	LineHello = "hello" // old: who I am and what I have. Nothing has changed yet
	LineGive  = "give"  // new: I have all I need, give
	LineGiven = "given" // old: devices, directory, socket and port are yours; these calls I hold
	LineReady = "ready" // new: I work, there is no way back
	LineHeld  = "held"  // old, any number: these calls I hold now. The end of the link is its own end
	LineNo    = "no"    // old: it can't be, or not any more; Why says why
)

// ErrRefused is what Expect returns, wrapped, when the old process will not hand over, or not any more.
var ErrRefused = errors.New("the running earshot says no")

// Line is one line of a Link.
type Line struct {
	Type string `json:"type"`
	// The fields down to Well stand in LineHello: of the old process its number, its record.dir, the UDP socket that it can't give
	// up, how many of its devices are registered, and whether all are and nothing fails.
	PID        int        `json:"pid,omitempty"`
	Dir        string     `json:"dir,omitempty"`
	UDP        string     `json:"udp,omitempty"`
	Registered int        `json:"registered,omitempty"`
	Well       bool       `json:"well,omitempty"`
	Calls      []HeldCall `json:"calls,omitempty"` // of LineGiven and LineHeld
	Why        string     `json:"why,omitempty"`
}

// HeldCall is a call that the old process hears or is being joined to.
type HeldCall struct {
	Call     string   `json:"call"`
	Sessions []string `json:"sessions,omitempty"`
	Dir      string   `json:"dir,omitempty"`
}

// Link joins an old process and the one that takes over from it: lines of JSON, both ways. One goroutine may send and one
// receive.
type Link struct {
	conn net.Conn
	r    *bufio.Reader
}

// Send writes a line.
func (l *Link) Send(line Line) error {
	b, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("takeover: %w", err)
	}
	if err = l.conn.SetWriteDeadline(time.Now().Add(lineTimeout)); err == nil {
		_, err = l.conn.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("takeover: %s not sent: %w", line.Type, err)
	}
	return nil
}

// Receive reads a line. An error is the end of the link, also when it is ctx's.
func (l *Link) Receive(ctx context.Context) (Line, error) {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetReadDeadline(time.Now()) })
	defer stop()
	var b []byte
	for {
		part, err := l.r.ReadSlice('\n')
		b = append(b, part...)
		switch {
		case ctx.Err() != nil:
			return Line{}, context.Cause(ctx)
		case errors.Is(err, bufio.ErrBufferFull) && len(b) < maxLine:
			continue
		case err != nil:
			return Line{}, fmt.Errorf("takeover: %w", err)
		}
		var line Line
		if err := json.Unmarshal(b, &line); err != nil {
			return Line{}, fmt.Errorf("takeover: %w", err)
		}
		return line, nil
	}
}

// Expect is Receive for a line of that type.
func (l *Link) Expect(ctx context.Context, kind string) (Line, error) {
	line, err := l.Receive(ctx)
	switch {
	case err != nil:
		return line, err
	case line.Type == LineNo:
		return line, fmt.Errorf("takeover: %w: %s", ErrRefused, line.Why)
	case line.Type != kind:
		return line, fmt.Errorf("takeover: got %q, want %s", line.Type, kind)
	}
	return line, nil
}

// Close ends the link.
func (l *Link) Close() error { return l.conn.Close() }

// takeover turns the connection into a Link and leaves it to the Operator.
func (c *Control) takeover(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != takeoverProto {
		w.Header().Set("Upgrade", takeoverProto)
		http.Error(w, "takeover: want an upgrade to "+takeoverProto, http.StatusUpgradeRequired)
		return
	}
	c.links.Add(1) // Run awaits it: the server forgets a connection that is no longer its own
	defer c.links.Done()
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "takeover: "+err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close() //nolint:errcheck // nothing to be lost
	_, err = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + takeoverProto + "\r\n\r\n"))
	if err != nil {
		c.cfg.Log.Debug("takeover not begun", attr.Err(err))
		return
	}
	// Not through rw: what it reads is the server's still, and the end of the connection would end the request's context.
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c.cfg.Operator.HandOver(r.Context(), &Link{conn: conn, r: bufio.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn))})
}

// TakeOver asks the daemon to hand over. The link must be closed.
func (c *Client) TakeOver(ctx context.Context) (*Link, error) {
	conn, err := c.dial(ctx, "", "")
	if err != nil {
		return nil, fmt.Errorf("takeover: %w", err)
	}
	l := &Link{conn: conn, r: bufio.NewReader(conn)}
	if err := l.upgrade(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("takeover: %w", err), conn.Close())
	}
	return l, nil
}

func (l *Link) upgrade(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Now()) })
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://earshot"+takeoverPath, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", takeoverProto)
	if err := r.Write(l.conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(l.r, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	switch resp.StatusCode {
	case http.StatusSwitchingProtocols:
		return nil
	case http.StatusNotFound:
		return errors.New("the running earshot can't hand over: stop it and start this one")
	}
	return &remoteError{text: clip(resp.Body)}
}
