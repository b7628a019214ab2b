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

// senderPatience bounds how long an answer of the sender is waited for: opening 16,000 sockets takes a second.
const senderPatience = 20 * time.Second

// child is the sender process, as the measuring one sees it.
type child struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Scanner
}

// startSender starts the program again as its own sender. It ends with ctx, or by close.
func startSender(ctx context.Context, program string, args []string, log io.Writer) (*child, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sender: %w", err), in.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	c := &child{cmd: cmd, orders: in, answers: bufio.NewScanner(out)}
	c.answers.Buffer(nil, 1<<22)
	return c, nil
}

// ask gives an order and waits for its answer. A sender that does not answer is ended.
func (c *child) ask(o order) (report, error) {
	kill := time.AfterFunc(senderPatience, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	b, err := json.Marshal(o)
	if err != nil {
		return report{}, fmt.Errorf("sender: order: %w", err)
	}
	if _, err := c.orders.Write(append(b, '\n')); err != nil {
		return report{}, fmt.Errorf("sender: order: %w", err)
	}
	if !c.answers.Scan() {
		return report{}, errors.Join(errors.New("sender: it ended, or gave no answer"), c.answers.Err())
	}
	var r report
	if err := json.Unmarshal(c.answers.Bytes(), &r); err != nil {
		return r, fmt.Errorf("sender: answer: %w", err)
	}
	if r.Err != "" {
		return r, errors.New(r.Err)
	}
	return r, nil
}

// close ends the sender and awaits it.
func (c *child) close() error {
	_ = c.orders.Close() // that is what it ends by
	kill := time.AfterFunc(senderPatience, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	return nil
}
