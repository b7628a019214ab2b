package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
)

// loaded is a configuration with every section.
func loaded(t *testing.T) *config.Loaded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "earshot.yaml")
	yaml := "ringcentral: {client_id: a, client_secret: b, jwt: c}\nstream: [{command: [cat]}]\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(config.Input{File: file, Required: true})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLiveKeysAreKeys(t *testing.T) {
	var keys []string
	for _, e := range loaded(t).Entries() {
		keys = append(keys, e.Key)
	}
	for _, k := range liveKeys {
		found := slices.ContainsFunc(keys, func(key string) bool { return key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k) })
		if !found {
			t.Errorf("%s: no setting has this name", k)
		}
	}
	for key, want := range map[string]bool{
		"supervise.agents": true, "supervise.hook.url": true, "stream[0].command": true, "log.level": true,
		"supervise.mode": false, "log.format": false, "record.dir": false, "supervise.poll": false,
	} {
		if isLive(key) != want {
			t.Errorf("%s: live is %v, want %v", key, !want, want)
		}
	}
}

func TestThePageOnOperatingNamesTheLiveKeys(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range append([]string{"stream"}, liveKeys...) {
		if !strings.Contains(string(page), "`"+strings.TrimSuffix(k, ".")+"`") {
			t.Errorf("docs/operating.md does not name %s", k)
		}
	}
}
