package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/supervise"
)

type joinCmd struct {
	Agent string `required:"" placeholder:"EXT" help:"the agent's extension number"`
	Mode  string `enum:",party,session" default:"" help:"party: a stream per party; session: one mixed stream (default as configured)"`
	Wait  bool   `help:"wait for the agent's next call, where there is none"`
	Why   string `placeholder:"TEXT" help:"the reason, for the evidence log"`
	JSON  bool   `help:"each step as a line of JSON"`
}

// Run joins an agent's call now, through the running daemon; where none runs, it hears the call by itself, until its end.
func (s joinCmd) Run(ctx context.Context, c *cli, p *process) error {
	cl, err := dial(ctx, c, p)
	if n := (*console.NotRunningError)(nil); errors.As(err, &n) {
		return s.alone(ctx, c, p)
	}
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	out, err := cl.Supervise(ctx, console.SuperviseRequest{Agent: s.Agent, Mode: s.Mode, Wait: s.Wait, Why: s.Why}, func(line json.RawMessage) error {
		return s.step(p.out, line)
	})
	if ctx.Err() != nil {
		return &hinted{errors.New("supervise: interrupted"), "the daemon may go on with it: `earshot status`; `earshot release` ends that"}
	}
	if err != nil && out.Call != "" {
		err = &hinted{err, strings.TrimPrefix(out.Hint+"; the daemon goes on wanting it while the call lives, `earshot release` ends that", "; ")}
	}
	return s.conclude(p.out, out, err, "the daemon hears it until it ends; `earshot release` gives the place up before")
}

// step shows a step.
func (s joinCmd) step(out io.Writer, line json.RawMessage) error {
	if s.JSON {
		_, err := fmt.Fprintln(out, string(line))
		return err
	}
	var st supervise.Step
	if err := json.Unmarshal(line, &st); err != nil {
		return fmt.Errorf("supervise: step: %w", err)
	}
	return printStep(out, st)
}

func printStep(out io.Writer, st supervise.Step) error {
	mark := "ok"
	if !st.OK {
		mark = "FAIL"
	}
	text := fmt.Sprintf("%d %-8s  %-4s  %s\n", st.N, st.Name, mark, st.Text)
	for _, party := range st.Parties {
		text += fmt.Sprintf("                  %s is the %s %s\n", party.ID, party.Role, strings.Join(strings.Fields(party.Number+" "+party.Name), " "))
	}
	if st.Path != "" {
		text += fmt.Sprintf("                  %s %s\n", st.Method, st.Path)
	}
	if len(st.Body) > 0 {
		text += fmt.Sprintf("                  %s\n", st.Body)
	}
	if st.Hint != "" && st.OK {
		text += "                  hint: " + st.Hint + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

// conclude tells how it came out.
func (s joinCmd) conclude(out io.Writer, o console.Outcome, err error, next string) error {
	if s.JSON && o.End {
		b, e := json.Marshal(o)
		if e == nil {
			_, e = fmt.Fprintln(out, string(b))
		}
		return errors.Join(err, e)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "heard: call %s; %s\n", o.Call, next)
	return err
}

// aloneWithin is how long registering and logging in may take.
const aloneWithin = 30 * time.Second

// alone is the whole endpoint for one call, without agents of its own. Its control socket keeps a daemon from starting beside it,
// and answers status, listen and release meanwhile.
func (s joinCmd) alone(ctx context.Context, c *cli, p *process) error {
	l, err := c.load(p)
	if err != nil {
		return err
	}
	l.Config.Supervise.Agents, l.Config.Supervise.Groups = nil, nil
	for i := range l.Config.Supervise.Supervisors {
		l.Config.Supervise.Supervisors[i].Groups = nil
	}
	l.Config.Console.Listen = "off"
	if !l.Config.HasRingCentral() {
		return &usageError{err: endpoint.ErrNoSupervisor, hint: "set ringcentral.client_id, client_secret and jwt"}
	}
	d, err := openDaemon(l, newLog(l.Config.Log, p.err))
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var ran error
	wg.Go(func() {
		defer stop()
		ran = d.run(working)
	})
	heard := s.hear(working, ctx, d.ep, p)
	stop()
	wg.Wait()
	return errors.Join(heard, ran)
}

// hear joins the call and waits for its end; ^C is one, too.
func (s joinCmd) hear(ctx, user context.Context, ep *endpoint.Endpoint, p *process) error {
	if err := awaitReady(ctx, ep); err != nil {
		if user.Err() != nil {
			return nil
		}
		return err
	}
	var failed error
	id, err := ep.Supervise(ctx, supervise.Wish{Agent: s.Agent, Mode: s.Mode, Wait: s.Wait}, func(st supervise.Step) {
		line, err := json.Marshal(st)
		if err == nil {
			err = s.step(p.out, line)
		}
		failed = errors.Join(failed, err)
	})
	if user.Err() != nil && failed == nil {
		return nil
	}
	if err = errors.Join(err, failed); err != nil {
		err = fmt.Errorf("supervise: %w", err)
	}
	o := console.Conclude(id, err)
	for _, c := range ep.Status().Calls {
		if c.ID == id {
			o.Dir = c.Dir
		}
	}
	if err := s.conclude(p.out, o, err, "no daemon runs, so it is heard from here until it ends, or ^C; recorded in "+o.Dir); err != nil {
		return err
	}
	ep.AwaitEnd(ctx, id)
	return nil
}

// awaitReady waits until the device is registered and the supervisor logged in.
func awaitReady(ctx context.Context, ep *endpoint.Endpoint) error {
	limited, cancel := context.WithTimeout(ctx, aloneWithin)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		why, registered := "", false
		st := ep.Status()
		for _, c := range st.Checks {
			switch {
			case c.Name == "sip":
				registered = c.OK
				fallthrough
			case c.Name == "disk":
				if !c.OK {
					why = c.Name + ": " + c.Text
				}
			}
		}
		if registered && why == "" {
			return nil
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &hinted{fmt.Errorf("not registered within %s: %s", aloneWithin, why), "see the log above, and `earshot doctor`"}
		case <-tick.C:
		}
	}
}
