package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
)

// The examples of docs/streaming.md are what the configuration takes.
func TestExamplesOfStreamsAreTaken(t *testing.T) {
	doc, err := os.ReadFile("../../../../docs/streaming.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "asr.key"), []byte("aHVudGVyMg=="), 0o600); err != nil {
		t.Fatal(err)
	}
	// What they name has to be there.
	there := strings.NewReplacer("[transcribe, --stdin]", "[cat]", "/etc/earshot/asr.key", dir+"/asr.key", "/etc/earshot/deepgram.key", dir+"/asr.key",
		"/etc/earshot/openai.key", dir+"/asr.key", "/etc/earshot/hook.key", dir+"/asr.key")
	consumers := map[string]int{}
	for i, block := range strings.Split(string(doc), "\n    stream:\n")[1:] {
		block, _, _ = strings.Cut(block, "\n\n")
		file := filepath.Join(dir, "earshot.yaml")
		text := "sip: {domain: d, username: u, password: p, authorization_id: a, outbound_proxy: \"h:1\"}\nstream:\n" + there.Replace(block) + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Input{File: file, Required: true})
		if err != nil {
			t.Errorf("example %d: %v", i+1, err)
			continue
		}
		for _, s := range l.Config.Stream {
			consumers[s.Consumer().Type]++
		}
	}
	if consumers["openai"] != 2 || consumers["audiohook"] != 1 || consumers["twilio"] != 1 {
		t.Errorf("consumers of the examples: %v", consumers)
	}
}
