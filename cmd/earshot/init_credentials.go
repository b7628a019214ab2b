package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/cmd/earshot/internal/setup"
	"github.com/earshot/earshot/internal/secret"
)

// credentials are those of the environment, of flags and files, and what a person answers.
func (k initCmd) credentials(ctx context.Context, c *cli, p *process, q *prompt, path string) (plan setup.Plan, cfg config.Config, err error) {
	in := c.input(p)
	in.File, in.Required = "", false // it is to be written, not read
	in.Env = slices.Clone(in.Env)
	for name, value := range map[string]string{
		"RINGCENTRAL_SERVER": k.Server, "RINGCENTRAL_CLIENT_ID": k.ClientID,
		"RINGCENTRAL_CLIENT_SECRET_FILE": k.ClientSecretFile, "RINGCENTRAL_JWT_FILE": k.JWTFile,
	} {
		if value != "" {
			in.Env = append(in.Env, "EARSHOT_"+name+"="+value)
		}
	}
	l, err := config.Peek(in)
	if err != nil {
		return plan, cfg, err
	}
	cfg = l.Config
	cfg.Supervise = config.Supervise{Mode: cfg.Supervise.Mode, Feed: true, Poll: cfg.Supervise.Poll, Agents: k.Agent, Groups: k.Group, DeviceID: k.Device}
	r := &cfg.RingCentral
	where := lasting{env: p.env, dotenv: c.EnvFile == "" && filepath.Dir(path) == cwd()}
	plan = setup.Plan{Inline: k.InlineSecrets}
	plan.ClientSecret = where.secret(r.ClientSecret, l.Source("ringcentral.client_secret"), k.ClientSecretFile)
	plan.JWT = where.secret(r.JWT, l.Source("ringcentral.jwt"), k.JWTFile)
	for _, a := range []struct {
		key, flag, question string
		hidden              bool
		value               *string
	}{
		{"ringcentral.client_id", "--client-id or RINGCENTRAL_CLIENT_ID", "client id of the app", false, &r.ClientID},
		{"ringcentral.client_secret", "--client-secret-file or RINGCENTRAL_CLIENT_SECRET", "client secret (not shown)", true, (*string)(&r.ClientSecret)},
		{"ringcentral.jwt", "--jwt-file or RINGCENTRAL_JWT", "JWT of the supervisor (not shown)", true, (*string)(&r.JWT)},
	} {
		if *a.value != "" {
			continue
		}
		if q == nil {
			return plan, cfg, &usageError{err: fmt.Errorf("init: %s is missing", a.key), hint: "give " + a.flag + ", a .env with it, or a terminal to be asked on"}
		}
		if *a.value, err = q.ask(ctx, a.question, a.hidden); err != nil {
			return plan, cfg, err
		}
	}
	plan.Server, plan.ClientID, plan.ClientSecret.Text, plan.JWT.Text = r.Server, r.ClientID, r.ClientSecret, r.JWT
	return plan, cfg, nil
}

func cwd() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	return dir
}

// lasting knows which sources `earshot run` finds again in the folder of the configuration.
type lasting struct {
	env    []string
	dotenv bool // the .env in that folder was read
}

func (w lasting) secret(text secret.Text, source, file string) setup.Secret {
	s := setup.Secret{Text: text}
	if file != "" {
		s.File, _ = filepath.Abs(file)
		return s
	}
	for _, e := range w.env {
		if name, value, _ := strings.Cut(e, "="); name == source && value != "" {
			if strings.HasSuffix(name, "_FILE") {
				s.File, _ = filepath.Abs(value)
			}
			s.Found = source + " in the environment"
			return s
		}
	}
	if w.dotenv && source == strings.ToUpper(source) { // a variable, and no line or flag
		s.Found = source + " in .env"
	}
	return s
}
