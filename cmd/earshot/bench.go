package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/earshot/earshot/internal/bench"
)

type benchCmd struct {
	Calls   int           `default:"500" help:"two-party calls at once: twice as many tracks"`
	Steps   []int         `placeholder:"N,N,..." help:"several numbers of calls, one after the other; instead of --calls"`
	For     time.Duration `default:"10s" help:"how long each is measured"`
	Warm    time.Duration `default:"2s" help:"how long the load runs before that"`
	Floor   time.Duration `default:"2s" help:"how long the floor is measured, before and after each"`
	NoFloor bool          `help:"measure no floor"`
	SRTP    bool          `name:"srtp" help:"packets are protected with AES_CM_128_HMAC_SHA1_80"`
	Live    bool          `help:"a live listener on each call"`
	Message time.Duration `default:"100ms" help:"how much audio the live listeners take at a time"`
	Delay   bool          `help:"a consumer on each track, 20 ms at a time, and how long packets are on their way to it"`
	Loss    float64       `placeholder:"PERCENT" help:"so many percent of the packets are lost on their way to us; delays behind a hole are told apart"`
	Hostile time.Duration `placeholder:"D" help:"with --delay: a second consumer on each track, which after --for hangs, crawls, resets its connections or floods us for so long"`
	Sink    string        `enum:"file,none" default:"file" help:"where the audio goes: stereo recordings (file), or nowhere (none)"`
	Format  string        `enum:"wav,mulaw" default:"wav" help:"format of the recordings (wav or mulaw)"`
	Encrypt bool          `help:"recordings are encrypted at rest, as with record.encrypt"`
	Dir     string        `help:"folder for the recordings, removed afterwards; default that for temporary files"`
	JSON    bool          `name:"json" help:"the result as JSON"`
	Profile string        `placeholder:"FILE" help:"write a CPU profile of the last step, for go tool pprof"`
	Plot    string        `placeholder:"FILE" help:"write an SVG of CPU time and worst sweep delay against calls, or of the delays"`
}

// Run measures, and fails if a sample is missing or wrong.
func (b benchCmd) Run(ctx context.Context, p *process) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if len(b.Steps) == 0 {
		b.Steps = []int{b.Calls}
	}
	if b.NoFloor {
		b.Floor = -1
	}
	cfg := bench.Config{
		Steps: b.Steps, For: b.For, Warm: b.Warm, Floor: b.Floor, SRTP: b.SRTP, Live: b.Live, Message: b.Message, Sink: b.Sink, Format: b.Format, Encrypt: b.Encrypt, Dir: b.Dir,
		Delay: b.Delay, Loss: b.Loss / 100, Hostile: b.Hostile,
		Program: program, Args: []string{"bench-sender"}, ConsumerArgs: []string{"bench-consumers"}, Progress: p.err,
	}
	if b.Profile != "" {
		f, err := os.Create(b.Profile)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // a profile that is cut shows as one
		cfg.Profile = f
	}
	r, err := bench.Run(ctx, cfg)
	var bad *bench.ConfigError
	if errors.As(err, &bad) {
		return &usageError{err: err, hint: "earshot bench --help"}
	}
	if err != nil {
		return err
	}
	write := r.WriteText
	if b.JSON {
		write = r.WriteJSON
	}
	if err := write(p.out); err != nil {
		return err
	}
	if b.Plot != "" {
		if err := os.WriteFile(b.Plot, r.Plot(), 0o644); err != nil { //nolint:gosec // a picture is no secret
			return err
		}
	}
	if !r.Whole() {
		return &hinted{errors.New("bench: samples are missing or wrong"), "fewer --calls, or a machine that does less besides; kernel drops are buffers that ran over"}
	}
	return nil
}

type senderCmd struct{}

// Run sends what the measuring process asks for on standard input.
func (senderCmd) Run(p *process) error {
	if err := bench.Send(p.in, p.out); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

type consumersCmd struct{}

// Run takes audio as the measuring process asks for on standard input.
func (consumersCmd) Run(p *process) error {
	if err := bench.Consume(p.in, p.out); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}
