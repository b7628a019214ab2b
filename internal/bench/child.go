package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// childPatience bounds how long an answer of a child is waited for: opening 16,000 sockets takes a second.
const childPatience = 20 * time.Second

// child is the sender's process, or the consumers', as the measuring one sees it.
type child struct {
	name    string
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Scanner
}

// startChild starts the program again as its own sender, or as its consumers. It ends with ctx, or by close.
func startChild(ctx context.Context, name, program string, args []string, log io.Writer) (*child, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), in.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c := &child{name: name, cmd: cmd, orders: in, answers: bufio.NewScanner(out)}
	c.answers.Buffer(nil, 1<<22)
	return c, nil
}

// ask gives an order and waits for its answer. A child that does not answer is ended.
func (c *child) ask(o order) (report, error) {
	kill := time.AfterFunc(childPatience, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	b, err := json.Marshal(o)
	if err != nil {
		return report{}, fmt.Errorf("%s: order: %w", c.name, err)
	}
	if _, err := c.orders.Write(append(b, '\n')); err != nil {
		return report{}, fmt.Errorf("%s: order: %w", c.name, err)
	}
	if !c.answers.Scan() {
		return report{}, errors.Join(errors.New(c.name+": it ended, or gave no answer"), c.answers.Err())
	}
	var r report
	if err := json.Unmarshal(c.answers.Bytes(), &r); err != nil {
		return r, fmt.Errorf("%s: answer: %w", c.name, err)
	}
	if r.Err != "" {
		return r, errors.New(r.Err)
	}
	return r, nil
}

// close ends the child and awaits it.
func (c *child) close() error {
	_ = c.orders.Close() // that is what it ends by
	kill := time.AfterFunc(childPatience, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}
