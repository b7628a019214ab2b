package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/who"
)

// ErrNoCall is what a Backend's Listen returns when there is no such call, and Client.Listen then.
var ErrNoCall = errors.New("no such call")

// ErrRunning is what NewControl returns, wrapped, when another earshot serves the socket.
var ErrRunning = errors.New("another earshot runs")

// ListenRequest says what a listener wants to hear; zero values are the defaults.
type ListenRequest struct {
	Call   string // call id; with Agent empty too: the only call, or the next
	Agent  string // extension number of the monitored agent
	Track  string // mix, agent, customer
	Format string // s16le, mulaw, alaw, wav
	Header bool   // before each message, see stream.HeaderOctets
	Rate   int    // 8000, 16000
	Why    string // for the evidence log
	// Since is how much before now it begins, as far as the recording goes back.
	Since time.Duration
}

// Backend answers the control socket's requests, from any goroutine.
type Backend interface {
	// Status gives what `earshot status` shows, fit for encoding/json.
	Status() any
	// Listen writes audio to w until the call ends or ctx does. Before the first byte it may return ErrNoCall or another
	// error that the user is shown.
	Listen(ctx context.Context, req ListenRequest, w io.Writer) error
}

// ControlConfig is the control socket's configuration.
type ControlConfig struct {
	// Socket is the path of the unix socket; its directory is made if need be, with mode 0700.
	Socket  string
	Backend Backend
	// Operator reloads, drains and hands over; nil: nobody does.
	Operator Operator
	// Log; nil discards.
	Log *slog.Logger
}

// Control serves the control socket.
type Control struct {
	// Set by NewControl, then constant.
	cfg   ControlConfig
	http  *http.Server
	door  *door
	links sync.WaitGroup // connections that became a Link

	// mu guards the field below.
	mu     sync.Mutex
	socket *socket // nil: given up
}

// NewControl takes the socket: what a dead process left is removed, of a living one is told with ErrRunning. Who doesn't
// Run it must Close it.
func NewControl(cfg ControlConfig) (*Control, error) {
	if cfg.Backend == nil {
		return nil, errors.New("control: backend: got nil")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s, err := takeSocket(cfg.Socket)
	if err != nil {
		return nil, err
	}
	c := &Control{cfg: cfg, socket: s, door: newDoor(limit(s.listener, maxConns))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /status", c.status)
	mux.HandleFunc("GET /listen", c.listen)
	c.byHand(mux)
	c.ladders(mux)
	c.acts(mux)
	c.care(mux)
	c.masking(mux)
	c.consenting(mux)
	if cfg.Operator != nil {
		c.operate(mux)
	}
	mux.HandleFunc("GET /account/{question}", c.account)
	// No ReadTimeout or WriteTimeout: net/http would end a listener with them. The socket is our own user's.
	c.http = &http.Server{
		Handler: keepPlace(mux), ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ConnContext: func(ctx context.Context, conn net.Conn) context.Context { return named(noteConn(ctx, conn), conn) },
	}
	return c, nil
}

// Run serves until ctx ends, then ends the listeners and removes the socket.
func (c *Control) Run(ctx context.Context) error {
	c.http.BaseContext = func(net.Listener) context.Context { return ctx }
	err := serve(ctx, c.http, c.door)
	c.links.Wait()
	return errors.Join(err, c.Close())
}

// Close removes the socket of a Control that never ran.
func (c *Control) Close() error { return c.GiveUp() }

// GiveUp leaves the socket to another process; requests under way go on.
func (c *Control) GiveUp() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.socket
	if s == nil {
		return nil
	}
	c.socket = nil
	c.door.set(nil)
	return s.close()
}

// TakeBack takes the socket again; ErrRunning: another process has it.
func (c *Control) TakeBack() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket != nil {
		return nil
	}
	s, err := takeSocket(c.cfg.Socket)
	if err != nil {
		return err
	}
	c.socket = s
	c.door.set(limit(s.listener, maxConns))
	return nil
}

func (c *Control) status(w http.ResponseWriter, _ *http.Request) { c.line(w, c.cfg.Backend.Status()) }

func (c *Control) listen(w http.ResponseWriter, r *http.Request) {
	req, err := parseListen(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := &flushed{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "application/octet-stream")
	err = c.cfg.Backend.Listen(who.Because(r.Context(), req.Why), req, out)
	switch {
	case err == nil, out.began && r.Context().Err() != nil: // we end, or the listener has gone
	case out.began:
		c.cfg.Log.Debug("listener lost", attr.Err(err))
		panic(http.ErrAbortHandler) // the one way to let the client see that this was not the end of the call
	case errors.Is(err, ErrNoCall):
		http.Error(w, err.Error(), http.StatusNotFound)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// parseListen reads a listener's wishes; what words there are is the backend's to know.
func parseListen(r *http.Request) (ListenRequest, error) {
	q := r.URL.Query()
	req := ListenRequest{Call: q.Get("call"), Agent: q.Get("agent"), Track: q.Get("track"), Format: q.Get("format"), Why: q.Get("why")}
	for k := range q {
		switch k {
		case "call", "agent", "track", "format", "rate", "header", "why", "since":
		default:
			return req, fmt.Errorf("listen: %q: want call, agent, track, format, rate, header, since or why", k)
		}
	}
	var err error
	if req.Since, err = ParseSince(q.Get("since")); err != nil {
		return req, fmt.Errorf("listen: %w", err)
	}
	if text := q.Get("rate"); text != "" {
		rate, err := strconv.Atoi(text)
		if err != nil {
			return req, fmt.Errorf("listen: rate: got %q, want a number", text)
		}
		req.Rate = rate
	}
	if text := q.Get("header"); text != "" {
		header, err := strconv.ParseBool(text)
		if err != nil {
			return req, fmt.Errorf("listen: header: got %q, want true or false", text)
		}
		req.Header = header
	}
	return req, nil
}

// flushed sends each piece at once.
type flushed struct {
	w       http.ResponseWriter
	control *http.ResponseController
	began   bool
}

func (f *flushed) Write(b []byte) (int, error) {
	f.began = f.began || len(b) > 0
	n, err := f.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, f.control.Flush()
}
