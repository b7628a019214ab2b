package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
)

type maskCmd struct {
	Call  string        `arg:"" optional:"" help:"call id, as earshot status shows it"`
	Agent string        `help:"the call of this agent (extension number)"`
	Back  time.Duration `placeholder:"DURATION" help:"reach so far back: 2s at most, the answer says how far it did"`
	For   time.Duration `placeholder:"DURATION" help:"end after so long; default: with unmask, at the latest after record.mask.max"`
	Why   string        `placeholder:"TEXT" help:"the reason, for the evidence log and the recording"`
	JSON  bool          `help:"as JSON"`
}

type unmaskCmd struct {
	Call  string `arg:"" optional:"" help:"call id, as earshot status shows it"`
	Agent string `help:"the call of this agent (extension number)"`
	Why   string `placeholder:"TEXT" help:"the reason, for the evidence log"`
	JSON  bool   `help:"as JSON"`
}

// Run has the running daemon hold back a call's audio.
func (m maskCmd) Run(ctx context.Context, c *cli, p *process) error {
	req := console.MaskRequest{Agent: m.Agent, Why: m.Why}
	if m.Back != 0 {
		req.Back = m.Back.String()
	}
	if m.For != 0 {
		req.For = m.For.String()
	}
	return turnMask(ctx, c, p, "mask", m.Call, req, m.JSON)
}

// Run ends that.
func (m unmaskCmd) Run(ctx context.Context, c *cli, p *process) error {
	return turnMask(ctx, c, p, "unmask", m.Call, console.MaskRequest{Agent: m.Agent, Why: m.Why}, m.JSON)
}

func turnMask(ctx context.Context, c *cli, p *process, what, call string, req console.MaskRequest, asJSON bool) error {
	if (call == "") == (req.Agent == "") {
		return &usageError{err: errors.New(what + ": want a call or --agent"), hint: "earshot status"}
	}
	if call == "" {
		call = console.ByAgent
	}
	cl, err := dial(ctx, c, p)
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	do := cl.Mask
	if what == "unmask" {
		do = cl.Unmask
	}
	raw, err := do(ctx, call, req)
	if errors.Is(err, console.ErrNoCall) {
		return &hinted{err, "`earshot status` lists the calls"}
	}
	if err != nil {
		return err
	}
	if asJSON {
		_, err := fmt.Fprintln(p.out, string(raw))
		return err
	}
	var done endpoint.Masked
	if err := json.Unmarshal(raw, &done); err != nil {
		return fmt.Errorf("%s: answer of the daemon: %w", what, err)
	}
	if done.NotDurable != "" {
		fmt.Fprintln(p.err, "earshot: warning: it holds, but a restart would not know of it:", done.NotDurable)
	}
	for _, line := range maskText(what, done) {
		if _, err := fmt.Fprintln(p.out, line); err != nil {
			return err
		}
	}
	return nil
}

const clockText = "15:04:05.000"

// maskText says in words what became of a mask.
func maskText(what string, m endpoint.Masked) (lines []string) {
	switch {
	case what == "mask":
		lines = append(lines, fmt.Sprintf("masked %s, agent %s, from %s UTC on (sample %d)", m.Call, orDash(m.Agent), m.From.UTC().Format(clockText), m.Pos))
		if m.CutShort {
			lines = append(lines, fmt.Sprintf("not from %s UTC, as asked for: what was said until %s can't be taken back any more",
				m.Asked.UTC().Format(clockText), m.From.UTC().Format(clockText)))
		}
		lines = append(lines, fmt.Sprintf("until `earshot unmask %s`, at the latest until %s UTC", m.Call, m.Until.UTC().Format(clockText)))
	case m.Masked:
		lines = append(lines, fmt.Sprintf("unmasked %s, agent %s: still held back (%s)", m.Call, orDash(m.Agent), m.By))
	case !m.Changed:
		lines = append(lines, fmt.Sprintf("%s was not masked", m.Call))
	default:
		lines = append(lines, fmt.Sprintf("unmasked %s, agent %s, from %s UTC on (sample %d)", m.Call, orDash(m.Agent), m.From.UTC().Format(clockText), m.Pos))
	}
	return lines
}

// Mask holds back the audio of a call; see console.Masker.
func (b backend) Mask(ctx context.Context, call, agent string, back, long time.Duration) (any, error) {
	done, err := b.ep.Mask(ctx, call, agent, endpoint.MaskRequest{Back: back, For: long})
	return done, inConsoleWords(err)
}

// Unmask ends that; see console.Masker.
func (b backend) Unmask(ctx context.Context, call, agent string) (any, error) {
	done, err := b.ep.Unmask(ctx, call, agent)
	return done, inConsoleWords(err)
}

// inConsoleWords gives endpoint's errors as the console knows them; the text is endpoint's.
func inConsoleWords(err error) error {
	switch {
	case errors.Is(err, endpoint.ErrNoCall):
		return noCall{err}
	case errors.Is(err, endpoint.ErrBadMask):
		return badMask{err}
	}
	return err
}

// badMask is endpoint's "bad mask" in the console's words.
type badMask struct{ error }

func (badMask) Is(target error) bool { return target == console.ErrBadMask }
