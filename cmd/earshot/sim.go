package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/internal/ringsim"
)

type simCmd struct {
	Scenario    string        `placeholder:"FILE" help:"play this scenario, then end (docs/simulator-scenarios.md); instead of --every"`
	Every       time.Duration `default:"30s" help:"a supervisable call starts each so often; 0: none"`
	For         time.Duration `help:"how long a call lasts; default twice --every"`
	Transport   string        `enum:"tls,tcp,udp" default:"tls" help:"transport in the printed configuration (tls, tcp or udp)"`
	REST        string        `name:"rest" default:"127.0.0.1:0" help:"address of the REST API"`
	UDP         string        `name:"udp" default:"127.0.0.1:0" help:"SIP over UDP"`
	TCP         string        `name:"tcp" default:"127.0.0.1:0" help:"SIP over TCP"`
	TLS         string        `name:"tls" default:"127.0.0.1:0" help:"SIP over TLS"`
	Host        string        `help:"name or address to put into URLs, proxies and the certificate; default the REST address"`
	Agents      int           `default:"3" help:"agents in the account"`
	Supervisors int           `default:"1" help:"supervisors, each with a login of its own"`
	Devices     int           `default:"1" help:"devices of each supervisor"`
	Dialogs     int           `help:"calls that a device may have; default no limit"`
	NoLimits    bool          `help:"no rate limits; default RingCentral's documented ones"`
	Out         string        `help:"folder for ca.pem; default a temporary one"`
	Env         bool          `help:"print a .env for RingCentral's own SDKs instead of earshot.yaml"`
}

// Run serves a RingCentral; what fits it goes to standard output first.
func (s simCmd) Run(ctx context.Context, p *process) error {
	if s.Agents < 1 || s.Supervisors < 1 || s.Devices < 1 || s.Dialogs < 0 {
		return &usageError{err: fmt.Errorf("sim: %d agents, %d supervisors, %d devices each, %d dialogs: want one of each at least", s.Agents, s.Supervisors, s.Devices, s.Dialogs),
			hint: "earshot sim --help"}
	}
	log := newLog(config.Log{Level: "info", Format: "text"}, p.err)
	cfg := ringsim.Config{
		REST: s.REST, UDP: s.UDP, TCP: s.TCP, TLS: s.TLS, Host: s.Host, Agents: s.Agents, Out: s.Out, Log: log,
	}
	if s.Supervisors > 1 || s.Devices > 1 || s.Dialogs > 0 {
		size := ringsim.Population{Agents: s.Agents, Supervisors: s.Supervisors, Devices: s.Devices, MaxDialogs: s.Dialogs}
		if _, err := ringsim.Populate(size); err != nil {
			return &usageError{err: err, hint: "earshot sim --help"}
		}
		cfg.Supervisors, cfg.Devices, cfg.Switches.DialogsPerDevice = size.Supervisors, size.Devices, size.MaxDialogs
	}
	if s.NoLimits {
		cfg.Limits = ringsim.Unlimited
	}
	var scenario ringsim.Scenario
	if s.Scenario != "" {
		var err error
		if scenario, err = readScenario(s.Scenario, &cfg); err != nil {
			return &usageError{err: err, hint: "docs/simulator-scenarios.md"}
		}
	}
	sim, err := ringsim.New(cfg)
	if err != nil {
		return err
	}
	fits := sim.YAML(s.Transport)
	if s.Env {
		fits = sim.DotEnv()
	}
	if _, err := p.out.Write(fits); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var played error
	if s.Scenario != "" {
		wg.Go(func() {
			defer stop()
			if _, err := sim.Play(ctx, scenario); ctx.Err() == nil {
				played = err
			}
		})
	} else if s.Every > 0 {
		wg.Go(func() {
			if err := sim.Every(ctx, s.Every, s.For); err != nil && ctx.Err() == nil {
				log.Error("calls ended", "err", err)
			}
		})
	}
	err = sim.Run(ctx)
	wg.Wait()
	return violated(sim, errors.Join(err, played))
}

// readScenario reads a scenario file and applies its settings to the simulator's configuration.
func readScenario(path string, cfg *ringsim.Config) (ringsim.Scenario, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return ringsim.Scenario{}, err
	}
	sc, err := ringsim.ParseScenario(filepath.Base(path), src)
	if err != nil {
		return sc, err
	}
	return sc, sc.Configure(cfg)
}
