package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// utterance is a sentence and its sound.
type utterance struct {
	voice  string
	text   string
	octets []byte // PCMU, whole packets
}

// voices are flite's, by turns.
var voices = []string{"rms", "slt", "awb"} //nolint:gochecknoglobals // constant

// synthesised speaks each line of a file.
func synthesised(ctx context.Context, file, dir string) ([]utterance, error) {
	lines, err := readLines(file)
	if err != nil {
		return nil, err
	}
	var out []utterance
	for i, text := range lines {
		u := utterance{voice: voices[i%len(voices)], text: text}
		wav := filepath.Join(dir, "flite.wav")
		if err := command(ctx, "flite", "-voice", u.voice, "-t", text, "-o", wav); err != nil {
			return nil, err
		}
		if u.octets, err = telephone(ctx, dir, wav); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

// transcribed is a line of a transcription file of pocketsphinx: <s> words </s> (name).
var transcribed = regexp.MustCompile(`^<s> (.*?) +</s> \((\S+)\)`)

// human are the recordings of pocketsphinx-testdata whose words are known.
func human(ctx context.Context, from, dir string) ([]utterance, error) {
	var out []utterance
	add := func(text string, sox ...string) error {
		octets, err := telephone(ctx, dir, sox...)
		out = append(out, utterance{voice: "human", text: text, octets: octets})
		return err
	}
	for _, u := range [][2]string{{"goforward.raw", "go forward ten meters"}, {"something.raw", "go somewhere and do something"}} {
		if err := add(u[1], "-t", "raw", "-r", "16000", "-e", "signed", "-b", "16", "-c", "1", filepath.Join(from, u[0])); err != nil {
			return nil, err
		}
	}
	for _, list := range []string{"cards/cards.transcription", "librivox/transcription"} {
		path := filepath.Join(from, list)
		lines, err := readLines(path)
		if err != nil {
			return nil, fmt.Errorf("%w (Debian's package pocketsphinx-testdata has it)", err)
		}
		for _, l := range lines {
			m := transcribed.FindStringSubmatch(l)
			if m == nil {
				return nil, fmt.Errorf("%s: %q: want <s> words </s> (name)", path, l)
			}
			if err := add(m[1], filepath.Join(filepath.Dir(path), m[2]+".wav")); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// telephone turns what sox reads into G.711, with silence before and after.
func telephone(ctx context.Context, dir string, in ...string) ([]byte, error) {
	ul := filepath.Join(dir, "out.ul")
	// -D: no dither; it would be noise in the silence.
	args := append(append([]string{"-D"}, in...), "-t", "ul", "-r", "8000", "-c", "1", ul, "gain", "-n", "-6", "pad", "0.3", "0.6")
	if err := command(ctx, "sox", args...); err != nil {
		return nil, err
	}
	octets, err := os.ReadFile(ul)
	return octets[:len(octets)/packetSamples*packetSamples], err // whole packets
}

func readLines(file string) (lines []string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if l := strings.TrimSpace(s.Text()); l != "" {
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// command runs a program, of which only what it did matters.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
