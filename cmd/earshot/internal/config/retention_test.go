package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/recorder"
)

func TestRetentionIsWhatTheRecorderTakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "earshot.yaml")
	text := "sip: {domain: d, username: u, password: p}\nrecord:\n  retention:\n    default: 90d\n    prune: 04:30\n    classes:\n" +
		"      - {name: claims, keep: 5y, queues: [\"500\"], numbers: [+44], directions: [inbound]}\n      - {name: board, agents: [101]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(config.Input{File: file, Required: true})
	if err != nil {
		t.Fatal(err)
	}
	r := l.Config.Record.Retention
	p := r.Policy()
	if p.Default != (recorder.Period{Days: 90}) || len(p.Classes) != 2 || p.Classes[0].Keep != (recorder.Period{Years: 5}) || p.Classes[0].Queues[0] != "500" || p.Classes[1].Agents[0] != "101" {
		t.Errorf("got %+v", p)
	}
	if at, daily, err := r.PruneAt(); at != 4*time.Hour+30*time.Minute || !daily || err != nil {
		t.Errorf("prune: got %v, %v, %v, want 04:30", at, daily, err)
	}
	r.Prune = "false"
	if _, daily, err := r.PruneAt(); daily || err != nil {
		t.Errorf("prune false: got %v, %v", daily, err)
	}
	if at, daily, _ := (config.Retention{Prune: "true"}).PruneAt(); at != 3*time.Hour || !daily {
		t.Errorf("prune true: got %v, %v, want 03:00", at, daily)
	}
}
