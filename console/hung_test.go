package console

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestDaemonThatDoesNotAnswerIsToldAsHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { // takes the request, as the kernel does for a stopped process, and says nothing
				b := make([]byte, 4096)
				for {
					if _, err := theirs.Read(b); err != nil {
						return
					}
				}
			}()
			return ours, nil
		}
		c := &Client{dial: dial, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
		began := time.Now()
		err := c.ping(t.Context(), "/run/earshot.sock")
		if hung, ok := errors.AsType[*HungError](err); !ok || hung.Socket != "/run/earshot.sock" || hung.Hint() == "" || time.Since(began) != pingWithin {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		synctest.Wait()
	})
}
