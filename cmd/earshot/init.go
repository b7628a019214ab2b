package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/cmd/earshot/internal/setup"
	"github.com/earshot/earshot/supervise"
)

type initCmd struct {
	Server           string   `help:"RingCentral's API server; default what the environment says, else production"`
	ClientID         string   `name:"client-id" help:"the app's client id"`
	ClientSecretFile string   `placeholder:"FILE" help:"file with the app's client secret"`
	JWTFile          string   `name:"jwt-file" placeholder:"FILE" help:"file with the supervisor's JWT"`
	Device           string   `placeholder:"ID" help:"the supervisor's device; default the only fitting one"`
	Group            []string `placeholder:"ID" help:"call monitoring groups whose members to hear; default all in which the supervisor is Monitoring"`
	Agent            []string `placeholder:"EXT" help:"agents to hear, by extension number, instead of groups"`
	File             string   `placeholder:"FILE" help:"file to write (default -c's, or earshot.yaml)"`
	Force            bool     `help:"overwrite it"`
	InlineSecrets    bool     `help:"write client secret and JWT into the file, in clear"`
}

// Run logs in, looks around, and writes the configuration that fits.
func (k initCmd) Run(ctx context.Context, c *cli, p *process) error {
	path, err := k.path(c)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil && !k.Force {
		return exists(fmt.Errorf("%s %w", path, setup.ErrExists))
	}
	q := newPrompt(p)
	plan, cfg, err := k.credentials(ctx, c, p, q, path)
	if err != nil {
		return err
	}
	accounts, err := openAccounts(cfg)
	if err != nil {
		return err
	}
	defer closeAccounts(accounts)
	if err := k.survey(ctx, p, q, accounts[0], &plan, cfg); err != nil {
		return err
	}
	written, err := plan.Write(path, k.Force)
	if errors.Is(err, setup.ErrExists) {
		return exists(err)
	}
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	return k.next(c, p, path, written)
}

func exists(err error) error {
	return &usageError{err: err, hint: "--force overwrites it, --file names another"}
}

func (k initCmd) path(c *cli) (string, error) {
	for _, name := range []string{k.File, c.Config} {
		if name != "" {
			return filepath.Abs(name)
		}
	}
	return filepath.Abs("earshot.yaml")
}

// survey looks at the account and fills in the plan; what is missing in RingCentral's portal is told, all at once.
func (k initCmd) survey(ctx context.Context, p *process, q *prompt, a *supervise.Account, plan *setup.Plan, cfg config.Config) error {
	device := k.Device
	devices, _, err := a.Devices(ctx)
	if fitting := supervise.FittingDevices(devices); err == nil && device == "" && len(fitting) > 1 && q != nil {
		for _, d := range fitting {
			fmt.Fprintf(p.err, "  %s  %s, %s\n", d.ID, d.Name, d.Status)
		}
		if device, err = q.ask(ctx, "device to use", false); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	findings, _ := supervise.Check(ctx, []*supervise.Account{a}, supervise.CheckOptions{AuthorizationID: authorizationID(cfg), DeviceID: device, NoFeedToken: true})
	missing := 0
	for _, f := range findings {
		if f.Mark == supervise.MarkOK || f.What == "sizing" || f.What == "agents" && f.Mark == supervise.MarkWarn {
			continue
		}
		if f.Mark == supervise.MarkFail {
			missing++
		}
		if err := printFindings(p.err, []supervise.Finding{f}); err != nil {
			return err
		}
	}
	if missing > 0 {
		return &hinted{fmt.Errorf("init: %d steps are missing, nothing was written", missing),
			"do them in RingCentral's portal, then run `earshot init` again; of several devices, --device names one"}
	}
	return k.choose(ctx, a, device, plan)
}

// choose takes device, groups and agents from what the account has.
func (k initCmd) choose(ctx context.Context, a *supervise.Account, device string, plan *setup.Plan) error {
	owner, err := a.Owner(ctx)
	if err != nil {
		return err
	}
	devices, _, err := a.Devices(ctx)
	if err != nil {
		return err
	}
	groups, _, err := a.Groups(ctx)
	if err != nil {
		return err
	}
	plan.Login = strings.TrimSpace(owner.Extension + " " + owner.Name)
	if device == "" {
		devices = supervise.FittingDevices(devices)
	}
	for _, d := range devices {
		if device == "" || d.ID == device {
			plan.Device = setup.Choice{ID: d.ID, Comment: d.Name}
		}
	}
	plan.Agents = k.Agent
	for _, g := range groups {
		heard := len(g.Monitored(owner.ID))
		named := slices.ContainsFunc(k.Group, func(n string) bool { return n == g.ID || strings.EqualFold(n, g.Name) })
		if g.Monitors(owner.ID) && heard > 0 && (len(k.Group) == 0 || named) {
			plan.Groups = append(plan.Groups, setup.Choice{ID: g.ID, Comment: fmt.Sprintf("%s, %d agents", g.Name, heard)})
		}
	}
	if len(plan.Groups)+len(plan.Agents) == 0 {
		return &hinted{errors.New("init: nobody to hear: the groups have no Monitored members, nothing was written"),
			"in the admin portal, Phone System, Groups, Call Monitoring: add the agents as Monitored; or name them with --agent"}
	}
	return nil
}

// next makes sure that what was written is what the daemon can read, and says how to go on.
func (k initCmd) next(c *cli, p *process, path string, written []string) error {
	in := config.Input{File: path, Required: true, EnvFile: filepath.Join(filepath.Dir(path), ".env"), Env: p.env, Set: c.Set}
	if _, err := config.Load(in); err != nil {
		return fmt.Errorf("init: %s was written, and can't be used: %w", path, err)
	}
	for _, f := range written {
		if _, err := fmt.Fprintln(p.out, "wrote", f); err != nil {
			return err
		}
	}
	command := "earshot run"
	if filepath.Base(path) != "earshot.yaml" {
		command = "earshot -c " + filepath.Base(path) + " run"
	}
	if dir := filepath.Dir(path); dir != cwd() {
		command = "cd " + dir + " && " + command
	}
	_, err := fmt.Fprintf(p.out, "next: %s\n", command)
	return err
}
