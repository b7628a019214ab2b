package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// measurement is what the command was asked for.
type measurement struct {
	engine, sentences, human string
	tries                    int
}

// together is how many utterances are played side by side.
const together = 44

// result is the scores at one network, by fill, an utterance each.
type result map[string][]score

// run plays every utterance through every network, and writes the table.
func (m measurement) run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "wer")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	said, err := synthesised(ctx, m.sentences, dir)
	if err != nil {
		return err
	}
	more, err := human(ctx, m.human, dir)
	if err != nil {
		return err
	}
	said = append(said, more...)
	e, err := startEngine(ctx, m.engine, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	results := make([]result, len(networks()))
	for i, w := range networks() {
		if results[i], err = m.through(ctx, w, said, e); err != nil {
			return fmt.Errorf("%s lost: %w", w.name, err)
		}
	}
	return table(out, said, results)
}

// through is one network.
func (m measurement) through(ctx context.Context, w network, said []utterance, e *engine) (result, error) {
	r := result{fillConcealed: make([]score, len(said)), fillSilent: make([]score, len(said))}
	tries := m.tries
	if w.share == 0 {
		tries = 1 // all the same
	}
	for try := range tries {
		at := 0
		for some := range slices.Chunk(said, together) {
			octets, lost := make([][]byte, len(some)), make([][]bool, len(some))
			for i, u := range some {
				octets[i] = u.octets
				lost[i] = w.losses(len(u.octets)/packetSamples, uint64(try*len(said)+at+i))
			}
			heard, err := play(ctx, octets, lost)
			if err != nil {
				return nil, err
			}
			for fill, all := range heard {
				for i, pcm := range all {
					if err := check(pcm, some[i].octets, lost[i], fill); err != nil {
						return nil, err
					}
					text, err := e.understand(pcm)
					if err != nil {
						return nil, err
					}
					want := wordsOf(some[i].text)
					s := &r[fill][at+i]
					s.words += len(want)
					s.errors += wordErrors(want, wordsOf(text))
				}
			}
			at += len(some)
		}
	}
	return r, nil
}
