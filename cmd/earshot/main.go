package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // an image that holds the binary alone knows no time zones

	_ "golang.org/x/crypto/x509roots/fallback" // nor certificate authorities; the system's come first where there are any
)

func main() {
	ctx, stop := untilSignal(context.Background())
	code := run(ctx, process{args: os.Args[1:], env: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// process is the outside world of a subcommand.
type process struct {
	args, env []string
	in        io.Reader
	out, err  io.Writer
}

// untilSignal gives a context that ends with the first SIGINT or SIGTERM; a second one ends the process at once.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	go func() { // ends with the process
		<-ch
		cancel()
		<-ch
		os.Exit(exitFailed)
	}()
	return ctx, cancel
}
