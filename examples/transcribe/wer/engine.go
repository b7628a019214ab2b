package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// engine is the program that turns files into texts.
type engine struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	file string
}

func startEngine(ctx context.Context, script, dir string) (*engine, error) {
	e := &engine{cmd: exec.CommandContext(ctx, "node", script), file: filepath.Join(dir, "heard.s16")}
	e.cmd.Stderr = os.Stderr
	in, err := e.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.in, e.out = in, bufio.NewReader(out)
	return e, e.cmd.Start()
}

// understand gives the text of samples, s16le at 16000 Hz.
func (e *engine) understand(pcm []byte) (text string, err error) {
	if err := os.WriteFile(e.file, pcm, 0o600); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(e.in, e.file); err != nil {
		return "", fmt.Errorf("the engine: %w", err)
	}
	line, err := e.out.ReadBytes('\n')
	if err != nil {
		return "", fmt.Errorf("the engine: %w", err)
	}
	return text, json.Unmarshal(line, &text)
}

func (e *engine) close() error { return errors.Join(e.in.Close(), e.cmd.Wait()) }
