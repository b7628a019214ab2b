package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// prompt asks a person. Answers are lines of at most 16 KiB: a JWT has about 1 KiB.
type prompt struct {
	in   *bufio.Reader
	out  io.Writer
	term *os.File // to switch the echo off; nil: there is none
}

const maxAnswer = 16 << 10

// newPrompt gives nil where nobody sits: standard input is no terminal.
func newPrompt(p *process) *prompt {
	if f, ok := p.in.(*os.File); ok && isTerminal(f) {
		return &prompt{in: bufio.NewReaderSize(f, maxAnswer), out: p.err, term: f}
	}
	return nil
}

var errNoAnswer = errors.New("no answer")

// ask asks for one line; hidden: without showing it. The end of ctx does not end the wait, but shows again what is typed: a
// second signal ends the process.
func (q *prompt) ask(ctx context.Context, question string, hidden bool) (string, error) {
	fmt.Fprint(q.out, question+": ")
	if hidden && q.term != nil {
		if show, err := echoOff(q.term); err == nil {
			stop := context.AfterFunc(ctx, show)
			defer func() { stop(); show(); fmt.Fprintln(q.out) }()
		}
	}
	line, err := q.in.ReadSlice('\n')
	text := strings.TrimSpace(string(line))
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("%s: more than %d octets", question, maxAnswer)
	case text == "":
		return "", fmt.Errorf("%s: %w", question, errNoAnswer)
	}
	return text, nil
}
