package main

import (
	"context"
	"io"
	"os"
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
