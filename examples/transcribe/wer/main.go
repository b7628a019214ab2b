package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("wer: ")
	var m measurement
	flag.StringVar(&m.engine, "engine", "examples/transcribe/recognise.mjs", "program for node that reads paths and writes texts")
	flag.StringVar(&m.sentences, "sentences", "examples/transcribe/wer/sentences.txt", "a sentence a line")
	flag.StringVar(&m.human, "human", "/usr/share/pocketsphinx/test/data", "recordings of humans, of Debian's pocketsphinx-testdata")
	flag.IntVar(&m.tries, "tries", 5, "how often each utterance is sent at each loss, with other packets lost")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := m.run(ctx, os.Stdout); err != nil {
		log.Fatalln(err)
	}
}
