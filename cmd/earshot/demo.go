package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/recorder"
)

type demoCmd struct {
	Calls int           `default:"3" help:"calls at once"`
	For   time.Duration `default:"20s" help:"how long they last"`
	Out   string        `default:"earshot-demo" help:"folder for the configuration, the log and the recordings"`
}

// demoPatience bounds each wait of the demo: for readiness, for the calls to be joined, for the last recording.
const demoPatience = 20 * time.Second

// Run runs the daemon as `earshot run` would, against a RingCentral in this process.
func (d demoCmd) Run(ctx context.Context, p *process) error {
	if d.Calls < 1 || d.For < time.Second {
		return &usageError{err: fmt.Errorf("demo: %d calls for %s: want at least one, for a second", d.Calls, d.For)}
	}
	out, err := filepath.Abs(d.Out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o700); err != nil {
		return err
	}
	logFile, err := os.OpenFile(filepath.Join(out, "earshot.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close() //nolint:errcheck // the log of a demo
	log := newLog(config.Log{Level: "info", Format: "text"}, logFile)

	sim, err := ringsim.New(ringsim.Config{Agents: max(3, d.Calls), Out: out, Log: log, Limits: demoLimits(d.Calls)})
	if err != nil {
		return err
	}
	l, err := d.configure(sim, out, p)
	if err != nil {
		return errors.Join(err, sim.Close())
	}
	daemon, err := openDaemon(l, log)
	if err != nil {
		return errors.Join(err, sim.Close())
	}

	working, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	simUntil, stopSim := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSim()
	wg.Go(func() { errs <- sim.Run(simUntil) })
	wg.Go(func() { errs <- daemon.run(working); stopSim() })
	begun := time.Now()
	playErr := d.play(working, sim, daemon.ep, p)
	stop()
	wg.Wait()
	if err := violated(sim, errors.Join(playErr, <-errs, <-errs)); err != nil {
		fmt.Fprintln(p.err, "log:", logFile.Name())
		return err
	}
	return d.table(p, out, begun)
}

// demoLimits are RingCentral's documented request rates, or what many calls at once would have to ask RingCentral for.
func demoLimits(calls int) ringsim.Limits {
	const documentedLight, perCall = 50, 4
	return ringsim.Limits{Light: max(documentedLight, perCall*calls+documentedLight)}
}

// configure writes the configuration that fits the simulator, and reads it as `earshot run -c` would.
func (d demoCmd) configure(sim *ringsim.Sim, out string, p *process) (*config.Loaded, error) {
	file := filepath.Join(out, "earshot.yaml")
	yaml := append(sim.YAML("tls"), fmt.Sprintf(
		"record:\n  dir: %q\nmedia:\n  listen_ip: 127.0.0.1\nconsole:\n  listen: \"off\"\n", filepath.Join(out, "recordings"))...)
	if err := os.WriteFile(file, yaml, 0o600); err != nil {
		return nil, err
	}
	// A demo is not meant for the account that the caller's environment may name.
	return config.Load(config.Input{File: file, Required: true, Set: []string{"supervise.poll=6s"}})
}

// play registers, lets the calls come, shows how they go, and waits until they are sealed.
func (d demoCmd) play(ctx context.Context, sim *ringsim.Sim, ep *endpoint.Endpoint, p *process) error {
	fmt.Fprintf(p.out, "a RingCentral in this process: %s, SIP over TLS at %s\n", sim.URL(), sim.Proxy("tls"))
	calls, err := sim.DemoCalls(d.Calls, d.For)
	if err != nil {
		return err
	}
	ready := false
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	deadline := time.Now().Add(d.For + 2*demoPatience)
	for {
		st := ep.Status()
		if st.Ready && !ready {
			ready = true
			for _, dev := range st.Devices {
				fmt.Fprintf(p.out, "registered as device %s; %d agents' calls are asked for\n", dev.Device, len(calls))
			}
		}
		if over(calls) && len(st.Calls) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("demo: %d calls are not over after %s", len(st.Calls), d.For+2*demoPatience)
		}
		showProgress(p, st)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func over(calls []*ringsim.Call) bool {
	for _, c := range calls {
		select {
		case <-c.Done():
		default:
			return false
		}
	}
	return true
}

func showProgress(p *process, st endpoint.Status) {
	var tracks int
	var seconds float64
	var lost int64
	for _, c := range st.Calls {
		for _, t := range c.Tracks {
			tracks++
			seconds += t.Seconds
			lost += t.LostSamples
		}
	}
	if len(st.Calls) > 0 {
		fmt.Fprintf(p.out, "  %d calls live, %d tracks, %.1f s of audio, %d samples lost\n", len(st.Calls), tracks, seconds, lost)
	}
}

// table shows what was recorded, and how to hear it.
func (d demoCmd) table(p *process, out string, begun time.Time) error {
	files, err := filepath.Glob(filepath.Join(out, "recordings", "*", "*", "*", "*", "recording.json"))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nparties\tseconds\tlost\tsrtp\tpath")
	shown, last := 0, ""
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil || st.ModTime().Before(begun) { // of an earlier demo
			continue
		}
		m, err := recorder.ReadManifest(filepath.Dir(f))
		if err != nil {
			return err
		}
		if m.State == recorder.StateNoMedia {
			fmt.Fprintf(w, "-\t0\t-\t-\tno audio: %s: %s\n", m.Cause, m.CauseText)
			continue
		}
		parties, lost, srtp := "", int64(0), 0
		for _, t := range m.Tracks {
			if parties != "" {
				parties += " + "
			}
			parties += t.Role.String()
			lost += t.Counts.LostSamples
			if t.SRTP {
				srtp++
			}
		}
		path := shortest(filepath.Join(filepath.Dir(f), recorder.AudioName))
		fmt.Fprintf(w, "%s\t%.1f\t%d\t%d of %d\t%s\n", parties, float64(m.Samples)/float64(m.Rate), lost, srtp, len(m.Tracks), path)
		shown++
		if len(m.Tracks) > 1 || last == "" {
			last = path
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if shown < d.Calls {
		return fmt.Errorf("demo: %d of %d calls were recorded", shown, d.Calls)
	}
	_, err = fmt.Fprintf(p.out, "\nhear one (customer left, agent right):  ffplay -autoexit %s   or: play %s\n", last, last)
	return err
}

// shortest gives the path as one would type it here.
func shortest(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// violated turns a rule that was broken into the simulator's failure.
func violated(sim *ringsim.Sim, err error) error {
	if v := sim.Violations(); len(v) > 0 {
		return errors.Join(fmt.Errorf("%d rules of RingCentral were broken, the first: %s", len(v), v[0]), err)
	}
	return err
}
