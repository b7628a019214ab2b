package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// echo is how soon after the first signal a second one is taken for the same: a process group and its leader are often both
// told to end.
const echo = 200 * time.Millisecond

// untilSignal gives a context that ends with the first SIGINT or SIGTERM; a second one ends the process at once.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	go func() { // ends with the process
		<-ch
		first := time.Now()
		cancel()
		for range ch {
			if time.Since(first) > echo {
				os.Exit(exitFailed)
			}
		}
	}()
	return ctx, cancel
}
