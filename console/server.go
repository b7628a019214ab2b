package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/earshot/earshot/internal/secret"
)

const (
	maxConns      = 64
	maxHeader     = 8 << 10 // bytes
	headerTimeout = 5 * time.Second
	answerTimeout = 10 * time.Second // for the whole of a request
	idleTimeout   = 30 * time.Second
	endTimeout    = 2 * time.Second // for requests under way when Run ends
	// SweepLimit is how old the last sweep may be before the process counts as hung; a sweep is due each 20 ms.
	SweepLimit = 5 * time.Second
)

// Config is the console's configuration.
type Config struct {
	// Listen is "ip:port"; port 0 is the kernel's choice.
	Listen string
	Source Source
	// Backend serves what is about calls, to who has Token; nil: nobody does. Empty Token: nobody may.
	Backend Backend
	Token   secret.Text
	// Feed is what happens to calls, for who has Token too; nil: nobody is told.
	Feed *Feed
	// CertFile and KeyFile are PEM files for TLS; both empty: without.
	CertFile, KeyFile string
	// Version and Revision stand in earshot_build_info.
	Version, Revision string
	// Log; nil discards.
	Log *slog.Logger
}

// Server answers /livez, /readyz and /metrics, and what is about calls.
type Server struct {
	// Set by New, then constant.
	http *http.Server
	cfg  Config
	addr net.Addr
	door *door
}

// New opens the port. Who doesn't Run it must Close it.
func New(cfg Config) (*Server, error) {
	if cfg.Source == nil {
		return nil, errors.New("console: source: got nil")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	in, err := protect(limit(l, maxConns), cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &Server{cfg: cfg, addr: l.Addr(), door: newDoor(in), http: newHTTP(cfg)}, nil
}

func newHTTP(cfg Config) *http.Server {
	s := &http.Server{
		Handler: keepPlace(handler(cfg)), ConnContext: noteConn, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: answerTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
	}
	if cfg.Feed != nil {
		s.RegisterOnShutdown(cfg.Feed.end)
	}
	return s
}

// Run serves until ctx ends and returns nil, or the error that ended it.
func (s *Server) Run(ctx context.Context) error { return serve(ctx, s.http, s.door) }

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Close closes the port of a server that never ran.
func (s *Server) Close() error { return s.door.shut() }

// GiveUp leaves the port to another process; requests under way go on.
func (s *Server) GiveUp() error { return s.door.shut() }

// TakeBack opens the same port again.
func (s *Server) TakeBack() error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", s.addr.String())
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	in, err := protect(limit(l, maxConns), s.cfg.CertFile, s.cfg.KeyFile)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s.door.set(in)
	return nil
}

func handler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, live(cfg.Source.Snapshot())) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, cfg.Source.Snapshot().Checks) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(cfg), promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}))
	serveCalls(mux, cfg)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "earshot: /livez /readyz /metrics; with the token of console.auth: /status /events /calls/any/audio.wav\n")
	})
	return mux
}

// live is what /livez checks: a process that answers, with an engine that sweeps.
func live(s Snapshot) []Check {
	c := Check{Name: "sweep", OK: s.SweepAge <= SweepLimit, Text: fmt.Sprintf("%v ago", s.SweepAge.Round(time.Millisecond))}
	if s.SweepAge < 0 {
		c.Text = "not yet"
	}
	return []Check{c}
}

// answer writes one line per check; 200 if all are well. No check at all is a process that has just begun.
func answer(w http.ResponseWriter, checks []Check) {
	if len(checks) == 0 {
		checks = []Check{{Name: "starting", Text: "nothing is known yet"}}
	}
	var body strings.Builder
	code := http.StatusOK
	for _, c := range checks {
		word := "ok"
		if !c.OK {
			word, code = "FAIL", http.StatusServiceUnavailable
		}
		body.WriteString(word + " " + c.Name)
		if c.Text != "" {
			body.WriteString(": " + strings.ReplaceAll(c.Text, "\n", " "))
		}
		body.WriteByte('\n')
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body.String())
}
