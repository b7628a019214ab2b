package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/stream"
)

// config says to whom, and how fast.
func (k replayCmd) config(c *cli, p *process) (cfg endpoint.ReplayConfig, err error) {
	if cfg.Speed, err = strconv.ParseFloat(k.Speed, 64); k.Speed == "max" {
		cfg.Speed = endpoint.AsTaken
	} else if err != nil || !(cfg.Speed > 0 && cfg.Speed <= maxSpeed) {
		return cfg, &usageError{err: fmt.Errorf("replay: --speed: got %q, want a number up to %d, such as 1 or 2.5, or max", k.Speed, maxSpeed)}
	}
	if err := k.idle(); err != nil {
		return cfg, err
	}
	if k.To == "" {
		err = k.configured(c, p, &cfg)
		return cfg, err
	}
	if k.toStdout() {
		if isTerminal(p.out) {
			return cfg, &usageError{err: errors.New("replay: standard output is a terminal"), hint: "pipe it: earshot replay --to stdout RECORDING | aplay -f S16_LE -r 8000"}
		}
		cfg.To, cfg.Listen = p.out, stream.ListenConfig{Track: k.Track, Format: k.Format, Rate: k.Rate, Header: k.Header}
		if _, err := stream.NewListener(cfg.Listen); err != nil {
			return cfg, &usageError{err: fmt.Errorf("replay: %w", err)}
		}
		return cfg, nil
	}
	one, err := k.target()
	if err == nil {
		err = one.Check()
	}
	if err != nil {
		return cfg, &usageError{err: fmt.Errorf("replay: --to: %w", err), hint: "stdout, wss://host/path, tcp://host:port or unix:///path; a service that wants a secret is a consumer of earshot.yaml: --consumer NAME"}
	}
	cfg.Consumers = []stream.Consumer{one}
	cfg.Log = newLog(config.Log{Level: "warn", Format: "text"}, p.err)
	return cfg, nil
}

func (k replayCmd) toStdout() bool { return k.To == toStdout || k.To == "-" }

// idle tells of a flag that would do nothing where the audio goes: who asked for one party's audio must not get everybody's.
func (k replayCmd) idle() error {
	configured, stdout := k.To == "", k.toStdout()
	for _, f := range []struct {
		idle       bool
		flag, goes string
	}{
		{!configured && k.Consumer != "", "--consumer", "a replay without --to"},
		{!stdout && k.Track != "", "--track", "--to stdout"},
		{(configured || stdout) && k.Preset != "", "--preset", "--to URL"},
		{(configured || stdout) && k.Per != "", "--per", "--to URL"},
		{configured && k.Format != "", "--format", "--to: a consumer of earshot.yaml has its own"},
		{configured && k.Rate != 0, "--rate", "--to: a consumer of earshot.yaml has its own"},
		{configured && k.Header, "--header", "--to: a consumer of earshot.yaml has its own"},
	} {
		if f.idle {
			return &usageError{err: fmt.Errorf("replay: %s goes with %s", f.flag, f.goes), hint: "earshot replay --help"}
		}
	}
	return nil
}

// configured takes the consumers of the configuration, or the one that is named.
func (k replayCmd) configured(c *cli, p *process, cfg *endpoint.ReplayConfig) error {
	l, bad := config.Peek(c.input(p))
	if l == nil {
		return bad
	}
	var names []string
	for i, one := range consumers(l.Config.Stream) {
		if err := one.Check(); err != nil {
			return &usageError{err: fmt.Errorf("stream[%d]: %w", i, err), hint: "earshot config"}
		}
		name := one.Label()
		names = append(names, name)
		if k.Consumer == "" || k.Consumer == name {
			cfg.Consumers = append(cfg.Consumers, one)
		}
	}
	cfg.Log = newLog(l.Config.Log, p.err)
	switch {
	case len(names) == 0:
		return &usageError{err: errors.New("replay: no consumer is configured"), hint: "stream: in earshot.yaml names some, or --to stdout, --to URL"}
	case len(cfg.Consumers) == 0:
		return &usageError{err: fmt.Errorf("replay: --consumer: got %q, want %s", k.Consumer, strings.Join(names, ", "))}
	}
	return nil
}

// target is the consumer that --to means.
func (k replayCmd) target() (stream.Consumer, error) {
	c := stream.Consumer{Preset: k.Preset, Per: k.Per, Format: k.Format, Rate: k.Rate, Header: k.Header}
	u, err := url.Parse(k.To)
	if err != nil {
		return c, errors.New("no URL")
	}
	rest := u.User != nil || u.RawQuery != "" || u.Fragment != ""
	switch {
	case u.Scheme == "ws", u.Scheme == "wss":
		c.Type, c.URL = stream.TypeWebSocket, k.To
	case u.Scheme == "tcp" && u.Path == "" && !rest:
		c.Type, c.Address = stream.TypeTCP, u.Host
	case u.Scheme == "unix" && u.Host == "" && !rest:
		c.Type, c.Address = stream.TypeUnix, u.Path
	default:
		return c, fmt.Errorf("got %q, want stdout or a URL", k.To)
	}
	return c, nil
}
