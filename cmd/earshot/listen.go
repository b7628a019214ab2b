package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
)

type listenCmd struct {
	Call   string `arg:"" optional:"" help:"call id; default the only call, or the next"`
	Agent  string `help:"the call of this agent (extension number)"`
	Track  string `enum:"mix,agent,customer" default:"mix" help:"whom to hear (mix, agent or customer)"`
	Format string `enum:"s16le,mulaw,alaw,wav" default:"s16le" help:"s16le, mulaw, alaw or wav"`
	Header bool   `help:"24 octets before each message: its length, its place in the call and when it was captured (docs/streaming.md); not with wav"`
	Why    string `placeholder:"TEXT" help:"the reason, for the evidence log"`
	Since  string `placeholder:"D" help:"begin so much before now, such as 30s, or with the call: start"`
	Rate   int    `enum:"8000,16000,24000" default:"8000" help:"samples a second"`
}

// Run writes a live call's audio to standard output until the call ends.
func (l listenCmd) Run(ctx context.Context, c *cli, p *process) error {
	if l.Call != "" && l.Agent != "" {
		return &usageError{err: errors.New("listen: a call and --agent: name one of them")}
	}
	since, err := console.ParseSince(l.Since)
	if err != nil {
		return &usageError{err: fmt.Errorf("listen: %w", err)}
	}
	if l.Header && l.Format == "wav" {
		return &usageError{err: errors.New("listen: --header: a WAV file has no room for it"), hint: "--format s16le"}
	}
	if isTerminal(p.out) {
		return &usageError{err: errors.New("listen: standard output is a terminal"), hint: "pipe it: earshot listen | aplay -f S16_LE -r 8000"}
	}
	cl, err := dial(ctx, c, p)
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	err = cl.Listen(ctx, console.ListenRequest{Call: l.Call, Agent: l.Agent, Track: l.Track, Format: l.Format, Rate: l.Rate, Header: l.Header, Why: l.Why, Since: since}, p.out)
	if ctx.Err() != nil { // the listener has heard enough
		return nil
	}
	return err
}

// dial reaches the running daemon. A configuration that was spoilt while it ran must not keep anybody from it: mistakes are
// warnings then.
func dial(ctx context.Context, c *cli, p *process) (*console.Client, error) {
	l, bad := config.Peek(c.input(p))
	if l == nil {
		return nil, bad
	}
	cl, err := console.Dial(ctx, l.Config.SocketPath())
	if _, none := errors.AsType[*console.NotRunningError](err); none && bad != nil {
		return nil, bad // it may name another socket than the one that is meant
	}
	if bad != nil {
		for line := range strings.Lines(bad.Error()) {
			fmt.Fprintln(p.err, "earshot: warning:", strings.TrimSpace(line))
		}
	}
	return cl, err
}
