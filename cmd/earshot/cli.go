package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
)

// Exit codes of the contract.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line.
type cli struct {
	Config  string   `short:"c" placeholder:"FILE" help:"configuration file (default earshot.yaml, if there is one)"`
	EnvFile string   `placeholder:"FILE" help:"variables for what the environment lacks (default .env, if there is one)"`
	Set     []string `placeholder:"KEY=VALUE" sep:"none" help:"one setting, such as record.dir=/var/lib/earshot; beats all else"`

	Init     initCmd      `cmd:"" help:"from a JWT: looks at devices and groups, writes earshot.yaml, names what is missing"`
	Run      runCmd       `cmd:"" help:"the daemon: register, be called, record and stream"`
	Status   statusCmd    `cmd:"" help:"what the running daemon hears, what not and why"`
	Listen   listenCmd    `cmd:"" help:"a live call's audio on standard output"`
	Join     joinCmd      `cmd:"" name:"supervise" help:"join that agent's call now, step by step"`
	Release  releaseCmd   `cmd:"" help:"give the supervisor's place of a call to a human"`
	Mask     maskCmd      `cmd:"" help:"hold a live call's audio back: a card number is being said"`
	Unmask   unmaskCmd    `cmd:"" help:"let it out again"`
	Consent  consentCmd   `cmd:"" help:"say that a call may be recorded, or may not, where record.consent requires it"`
	Reload   reloadCmd    `cmd:"" help:"have the running daemon read its configuration again; calls go on"`
	Drain    drainCmd     `cmd:"" help:"have the running daemon take no new calls, and end with the last one"`
	Calls    callsCmd     `cmd:"" help:"the calls that RingCentral shows"`
	Devices  devicesCmd   `cmd:"" help:"the supervisors' devices"`
	Groups   groupsCmd    `cmd:"" help:"the call monitoring groups, who may listen to whom"`
	Ladder   ladderCmd    `cmd:"" help:"what was said in SIP in a call, or by the registrations; no keys, no credentials"`
	Doctor   doctorCmd    `cmd:"" help:"looks at all that must hold for calls to be heard, and says what to do"`
	Demo     demoCmd      `cmd:"" help:"the same daemon against a RingCentral in this process; no account needed"`
	Sim      simCmd       `cmd:"" help:"that RingCentral alone, for other programs' tests"`
	Bench    benchCmd     `cmd:"" help:"how many calls this machine carries: CPU per packet, beside the kernel's own"`
	Sender   senderCmd    `cmd:"" name:"bench-sender" hidden:"" help:"the other process of bench"`
	Takers   consumersCmd `cmd:"" name:"bench-consumers" hidden:"" help:"the third process of bench"`
	Recorded recordedCmd  `cmd:"" name:"recordings" help:"what was recorded: find, show, export, verify, hold, erase"`
	Settings settingCmd   `cmd:"" name:"config" help:"the whole configuration with its defaults and sources, secrets hidden"`
	Version  versionCmd   `cmd:"" help:"version and build"`
}

// usageError is bad usage or configuration: exit code 2. hint is what to do, if anything helps.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.hint }

// hinted is a failure with what to do about it.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }
func (h *hinted) Hint() string  { return h.hint }

// exitSignal is how kong's own exits (--help) come back to run.
type exitSignal int

// run parses the command line, runs the subcommand and gives the exit code.
func run(ctx context.Context, p process) (code int) {
	defer func() {
		r := recover()
		if e, ok := r.(exitSignal); ok {
			code = int(e)
		} else if r != nil {
			panic(r)
		}
	}()
	var c cli
	k, err := kong.New(&c, kong.Name("earshot"), kong.Writers(p.out, p.err),
		kong.Description("The supervisor's ear on RingCentral calls: auto-answers, records, streams."),
		kong.Exit(func(n int) { panic(exitSignal(n)) }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return p.fail(err)
	}
	kc, err := k.Parse(p.args)
	if err != nil {
		return p.fail(&usageError{err: err, hint: "earshot --help"})
	}
	kc.BindTo(ctx, (*context.Context)(nil))
	if err := kc.Run(&c, &p); err != nil {
		return p.fail(err)
	}
	return exitDone
}

// fail tells what happened, and what to do about it, and gives the exit code.
func (p *process) fail(err error) int {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(p.err, "earshot:", strings.TrimSpace(line))
	}
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintln(p.err, "hint:", h.Hint())
	}
	var u *usageError
	var bad config.Errors
	if errors.As(err, &u) || errors.As(err, &bad) {
		return exitUsage
	}
	return exitFailed
}

// load reads the configuration as the flags say.
func (c *cli) load(p *process) (*config.Loaded, error) {
	l, err := config.Load(c.input(p))
	for _, w := range l.Warnings {
		fmt.Fprintln(p.err, "earshot: warning:", w)
	}
	return l, err
}

// input says where the configuration comes from.
func (c *cli) input(p *process) config.Input {
	in := config.Input{File: "earshot.yaml", EnvFile: ".env", Env: p.env, Set: c.Set}
	if c.Config != "" {
		in.File, in.Required = c.Config, true
	}
	if c.EnvFile != "" {
		in.EnvFile, in.EnvNeed = c.EnvFile, true
	}
	return in
}

// isTerminal tells whether w is a person's screen; binary audio does not belong there.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(st, null)
}
