package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/earshot/earshot/internal/who"
)

// unknownPeer is who asks over the control socket where the system does not tell: our own user or root, by the socket's mode.
const unknownPeer = "control socket"

// named gives a connection's requests the name of who made it.
func named(ctx context.Context, c net.Conn) context.Context {
	if p, ok := c.(*placed); ok {
		c = p.Conn
	}
	if u, ok := c.(*net.UnixConn); ok {
		return who.With(ctx, peer(u))
	}
	return ctx
}

// Who says who asks.
func Who(r *http.Request) string { return who.From(r.Context()) }

// Act is something that a command did by itself with a recording, and that the evidence log is to name.
type Act struct {
	What   string `json:"act"` // export, exported, verify
	Folder string `json:"folder,omitempty"`
	Call   string `json:"call,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Noter is a Backend that has acts written into the evidence log. An error: it is not written.
type Noter interface {
	Note(ctx context.Context, a Act) error
}

const maxActText = 1 << 10

func (a Act) check() error {
	switch {
	case a.What != "export" && a.What != "exported" && a.What != "verify" && a.What != "replay":
		return fmt.Errorf("act: got %q, want export, exported, verify or replay", a.What)
	case len(a.Folder) > maxActText, len(a.Call) > maxActText, len(a.Why) > maxActText:
		return fmt.Errorf("act: a text has more than %d octets", maxActText)
	}
	return nil
}

// acts serves what commands say that they did.
func (c *Control) acts(mux *http.ServeMux) {
	n, ok := c.cfg.Backend.(Noter)
	if !ok {
		return
	}
	mux.HandleFunc("POST /acts", func(w http.ResponseWriter, r *http.Request) {
		var a Act
		err := readRequest(r, &a)
		if err == nil {
			err = a.check()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.reply(w, a, n.Note(r.Context(), a))
	})
}

// Note has the daemon write into the evidence log what the caller is about to do; nil: it is there, durably.
func (c *Client) Note(ctx context.Context, a Act) error {
	body, err := c.post(ctx, "/acts", a)
	if err != nil {
		return fmt.Errorf("note %s: %w", a.What, err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(body, maxErrorText))
	if err := errors.Join(err, body.Close()); err != nil {
		return fmt.Errorf("note %s: %w", a.What, err)
	}
	return nil
}
