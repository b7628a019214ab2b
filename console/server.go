package console

import (
	"context"
	"log/slog"
	"net"
)

// Config is the console's configuration.
type Config struct {
	// Listen is "ip:port"; port 0 is the kernel's choice.
	Listen string
	Source Source
	// Version, Revision stand in earshot_build_info.
	Version, Revision string
	// Log; nil discards.
	Log *slog.Logger
}

// Server answers /livez, /readyz and /metrics.
type Server struct{}

// New opens the port.
func New(cfg Config) (*Server, error) { return &Server{}, nil }

// Run serves until ctx ends and returns nil, or the error that ended it.
func (s *Server) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return &net.TCPAddr{} }

// Close closes the port of a server that never ran.
func (s *Server) Close() error { return nil }
