package console_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/earshot/earshot/console"
)

// What the daemon and the command line do.
func ExampleControl() {
	dir, err := os.MkdirTemp("", "console")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "earshot.sock")

	daemon, err := console.NewControl(console.ControlConfig{Socket: socket, Backend: backend(
		func(_ context.Context, req console.ListenRequest, w io.Writer) error {
			_, err := fmt.Fprintln(w, "audio of agent", req.Agent)
			return err
		})})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- daemon.Run(ctx) }()

	client, err := console.Dial(ctx, socket)
	if err != nil {
		panic(err)
	}
	if err := client.Listen(ctx, console.ListenRequest{Agent: "108"}, os.Stdout); err != nil {
		panic(err)
	}
	cancel()
	if err := <-done; err != nil {
		panic(err)
	}
	_, err = console.Dial(context.Background(), socket)
	fmt.Println(err != nil)
	// Output:
	// audio of agent 108
	// true
}
