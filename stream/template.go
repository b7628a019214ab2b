package stream

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// templateNames are what may stand in braces in a consumer's texts: {call}.
var templateNames = []string{
	"call", "part", "stream", "from", "track", "role", "party", "agent", "name", "format", "encoding", "rate", "channels", "multichannel", "audio_format", "facts", "secret",
}

// text fills a template of the consumer's. Each value goes through escape first.
func (a *about) text(template, secret string, escape func(string) string) string {
	if !strings.Contains(template, "{") {
		return template
	}
	track := ""
	if a.Track != nil {
		track = strconv.FormatUint(uint64(a.Track.ID), 10)
	}
	facts, err := json.Marshal(a.facts)
	if err != nil || len(facts) > maxValue {
		facts = []byte("{}")
	}
	pairs := []string{"{facts}", string(facts), "{audio_format}", audioFormat(a.Format, a.Rate)} // JSON values by themselves
	for _, v := range [][2]string{
		{"call", a.Call.ID}, {"part", strconv.Itoa(max(1, a.Call.Part))}, {"stream", a.Stream}, {"from", a.from}, {"track", track}, {"role", a.Role}, {"party", a.Party},
		{"agent", a.Call.Agent}, {"name", a.Name}, {"format", a.Format}, {"encoding", encodingName(a.Format)}, {"rate", strconv.Itoa(a.Rate)},
		{"channels", strconv.Itoa(len(a.Channels))}, {"multichannel", strconv.FormatBool(len(a.Channels) > 1)}, {"secret", secret},
	} {
		pairs = append(pairs, "{"+v[0]+"}", escape(v[1][:min(len(v[1]), maxValue)]))
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// encodingName is what most speech engines call a format.
func encodingName(format string) string {
	if format == FormatS16LE {
		return "linear16"
	}
	return format
}

// inJSON escapes a value for the inside of a JSON string.
func inJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(b[1 : len(b)-1])
}

func asIs(s string) string { return s }

// checkTemplate names what stands in braces, looks like one of our names, and is none. JSON has braces of its own.
func checkTemplate(key, text string, secretAllowed bool) error {
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return nil
		}
		name, _, closed := strings.Cut(after, "}")
		plain := closed && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") == ""
		switch {
		case plain && !slices.Contains(templateNames, name):
			return fmt.Errorf("%s: {%s}: want one of {%s}", key, name, strings.Join(templateNames, "}, {"))
		case plain && name == "secret" && !secretAllowed:
			return fmt.Errorf("%s: {secret}: goes into url or headers only", key)
		}
		rest = after
	}
}

// safeName makes a part of a file's name of what came from outside.
func safeName(s string) string {
	out := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s)
	return out[:min(len(out), 64)]
}

// inQuery escapes a value for a URL's path or query.
func inQuery(s string) string { return url.QueryEscape(s) }
