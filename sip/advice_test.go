package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestProxyThatIsNotReachedSaysWhereToLook(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	for want, errs := range map[string][]error{
		adviceName:     {fmt.Errorf("resolve x: %w", &net.DNSError{Err: "no such host", IsNotFound: true})},
		adviceResolver: {&net.DNSError{Err: "i/o timeout", IsTimeout: true}, &net.DNSError{Err: "server misbehaving", IsTemporary: true}},
		adviceRefused:  {dial(syscall.ECONNREFUSED)},
		adviceBarred:   {dial(syscall.EHOSTUNREACH), dial(syscall.ENETUNREACH), dial(syscall.ETIMEDOUT), context.DeadlineExceeded},
		"":             {nil, errors.New("what nobody has seen")},
	} {
		for _, err := range errs {
			if got := adviceFor(err); got != want {
				t.Errorf("%v: got %q, want %q", err, got, want)
			}
			if h := hintFor(err); h != "" {
				t.Errorf("%v: %q is told as what a person must mend; it may pass", err, h)
			}
		}
	}
}
