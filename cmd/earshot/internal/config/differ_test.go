package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
)

func TestDifferNamesEveryKeyWithAnotherValue(t *testing.T) {
	load := func(yaml string, set ...string) *config.Loaded {
		t.Helper()
		file := filepath.Join(t.TempDir(), "earshot.yaml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Input{File: file, Required: true, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	const sip = "sip: {domain: sip.test, username: u, password: p}\n"
	for name, c := range map[string]struct {
		a, b string
		set  []string
		want []string
	}{
		"the same":              {sip, sip, nil, nil},
		"written otherwise":     {sip + "record: {dir: x}\nmedia: {live_wait: 60ms}\n", sip + "media:\n  live_wait: 0.06s\nrecord:\n  dir: x\n", nil, nil},
		"an empty list":         {sip + "media: {codecs: [PCMU]}\nsupervise: {queues: []}\n", sip + "media: {codecs: [PCMU]}\n", nil, nil},
		"a secret":              {sip, "sip: {domain: sip.test, username: u, password: q}\n", nil, []string{"sip.password"}},
		"a flag":                {sip, sip, []string{"log.level=debug"}, []string{"log.level"}},
		"a section more":        {sip, sip + "stream: [{command: [cat]}]\n", nil, []string{"stream[0].command"}},
		"a section less":        {sip + "stream: [{command: [cat], per: call, buffer: 5s}]\n", sip, nil, []string{"stream[0].command", "stream[0].per"}},
		"a section other":       {sip + "stream: [{command: [cat]}, {command: [cat]}]\n", sip + "stream: [{command: [cat]}, {command: [cat], buffer: 6s}]\n", nil, []string{"stream[1].buffer"}},
		"a webhook more":        {sip, sip + "webhooks: [{url: 'https://hooks.test', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}]\n", nil, []string{"webhooks[0].url", "webhooks[0].secret"}},
		"the order of sections": {sip, "timezone: Europe/Paris\nlog: {level: warn}\n" + sip, nil, []string{"log.level", "timezone"}},
	} {
		if got := config.Differ(load(c.a), load(c.b, c.set...)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
