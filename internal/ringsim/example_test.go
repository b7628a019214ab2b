package ringsim_test

import (
	"context"
	"fmt"

	"github.com/earshot/earshot/internal/ringsim"
)

// A simulator outside of a test: New, Run, and a call that waits to be supervised.
func Example() {
	sim, err := ringsim.New(ringsim.Config{Agents: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()

	call, err := sim.StartCall(ringsim.CallSpec{Agent: "109", Form: ringsim.FormTwoLines})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(call.Form(), len(sim.Violations()))
	call.Hangup()
	<-call.Done()

	cancel()
	fmt.Println(<-ended)
	// Output:
	// two_lines 0
	// <nil>
}
