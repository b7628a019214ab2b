package config

import "testing"

// TestAURLShowsNoSecret: what `earshot config` prints goes into tickets.
func TestAURLShowsNoSecret(t *testing.T) {
	for in, want := range map[string]string{
		"https://example.com/hooks/earshot":         "https://example.com/hooks/earshot",
		"http://u:hunter2@example.com/ok?token=abc": "http://u:***@example.com/ok?token=***",
		"wss://example.com/s?call={call}&key=a=b#x": "wss://example.com/s?call={call}&key=***#x",
		"https://u@example.com/?a=&flag":            "https://u@example.com/?a=&flag",
		"http://u:p@ss@example.com:8443/":           "http://u:***@example.com:8443/",
		"/var/lib/earshot?x=1":                      "/var/lib/earshot?x=1",
		"{yyyy}/{mm}/{dd}/{folder}":                 "{yyyy}/{mm}/{dd}/{folder}",
	} {
		if got := hideInURL(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
