package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/internal/who"
)

const (
	// maxListeners leaves connections for health checks.
	maxListeners = maxConns / 2
	// anyCall is the path of the only call, or the next.
	anyCall = "any"
)

// calls serves what is about calls to who has the token: GET /status, and the audio of live calls for curl and players.
type calls struct {
	// Set by serveCalls, then constant.
	token   secret.Text
	backend Backend
	log     *slog.Logger
	places  chan struct{}
}

// serveCalls adds the routes. Without a token they say what to do.
func serveCalls(mux *http.ServeMux, cfg Config) {
	if cfg.Backend == nil {
		return
	}
	c := &calls{token: cfg.Token, backend: cfg.Backend, log: cfg.Log, places: make(chan struct{}, maxListeners)}
	mux.HandleFunc("GET /status", c.guard(c.status))
	c.watch(mux, cfg.Feed)
	mux.HandleFunc("GET /calls/{id}/audio.wav", c.guard(func(w http.ResponseWriter, r *http.Request) { c.audio(w, r, "wav", "audio/wav") }))
	mux.HandleFunc("GET /calls/{id}/audio.raw", c.guard(func(w http.ResponseWriter, r *http.Request) {
		format := r.URL.Query().Get("format")
		if format == "wav" {
			http.Error(w, "format: got wav, want s16le, mulaw or alaw; a WAV file is at audio.wav", http.StatusBadRequest)
			return
		}
		c.audio(w, r, format, "application/octet-stream")
	}))
}

// guard lets through who has the token: as a bearer (RFC 6750 section 2.1), or in the query, for players that can't send a header.
func (c *calls) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if c.token == "" {
			http.Error(w, "calls are served to nobody: set console.auth.token", http.StatusForbidden)
			return
		}
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			given = r.URL.Query().Get("token")
		}
		a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(c.token.Reveal()))
		if subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="earshot"`)
			http.Error(w, "want the token of console.auth: Authorization: Bearer ..., or ?token=", http.StatusUnauthorized)
			return
		}
		next(w, r.WithContext(who.With(r.Context(), "console token, from "+r.RemoteAddr)))
	}
}

func (c *calls) status(w http.ResponseWriter, _ *http.Request) {
	sendLine(w, c.backend.Status(), c.log)
}

// audio sends a call's audio from now on, until the call ends or the listener leaves. One that reads nothing for answerTimeout is left.
func (c *calls) audio(w http.ResponseWriter, r *http.Request, format, kind string) {
	q := r.URL.Query()
	q.Del("token")
	q.Set("format", format)
	q.Set("call", r.PathValue("id"))
	if r.PathValue("id") == anyCall {
		q.Del("call")
	}
	r.URL.RawQuery = q.Encode()
	req, err := parseListen(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodHead { // the mux takes it for GET; who only looks is no listener, and takes no listener's place
		w.Header().Set("Content-Type", kind)
		return
	}
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many listeners", http.StatusServiceUnavailable)
		return
	}
	ctx, stop := context.WithCancel(who.Because(r.Context(), req.Why))
	defer stop()
	control := http.NewResponseController(w)
	out := &timed{flushed: flushed{w: w, control: control}}
	_ = control.SetWriteDeadline(time.Time{}) // waiting for a call takes as long as it takes
	w.Header().Set("Content-Type", kind)
	err = c.backend.Listen(ctx, req, out)
	switch {
	case err == nil, out.began && r.Context().Err() != nil:
	case out.began:
		c.log.Debug("listener lost", attr.Err(err))
		panic(http.ErrAbortHandler) // the one way to let the client see that this was not the end of the call
	case errors.Is(err, ErrNoCall):
		http.Error(w, err.Error(), http.StatusNotFound)
	case r.Context().Err() == nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// timed sends each piece at once, and gives up on who takes none.
type timed struct{ flushed }

var _ io.Writer = (*timed)(nil)

func (t *timed) Write(b []byte) (int, error) {
	if err := t.control.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, err
	}
	return t.flushed.Write(b)
}
