package main

import (
	"context"
	"errors"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/supervise"
)

// Supervise joins a call by hand; see console.ByHand.
func (b backend) Supervise(ctx context.Context, req console.SuperviseRequest, show func(any)) (string, error) {
	return b.ep.Supervise(ctx, supervise.Wish{Agent: req.Agent, Mode: req.Mode, Wait: req.Wait}, func(st supervise.Step) { show(st) })
}

// Release gives the supervisor's place of calls up; see console.ByHand.
func (b backend) Release(ctx context.Context, req console.ReleaseRequest) (any, error) {
	released, err := b.ep.Release(ctx, req.Call, req.Agent)
	if errors.Is(err, endpoint.ErrNoCall) {
		return nil, noCall{err}
	}
	return released, err
}
