package ringsim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/internal/ringsim"
)

// feed is a client of the event feed that does nothing by itself.
type feed struct {
	t    *testing.T
	ws   *websocket.Conn
	wsc  string
	next int
	held []frame // notifications read while an answer was awaited
}

// frame is one message.
type frame struct {
	meta, body object
}

func (f frame) kind() string { s, _ := f.meta["type"].(string); return s }

func (f frame) status() int { n, _ := f.meta["status"].(float64); return int(n) }

func (f frame) code() string { s, _ := f.body["errorCode"].(string); return s }

// dial opens a connection with a fresh wstoken.
func (c *rest) dial(wsc string) *feed {
	c.t.Helper()
	r := c.do("POST", "/restapi/oauth/wstoken", "", "")
	if r.status != 200 {
		c.t.Fatalf("wstoken: %d %s", r.status, r.raw)
	}
	f, status := c.dialWith(r.body["uri"].(string)+"?access_token="+r.body["ws_access_token"].(string), wsc)
	if f == nil {
		c.t.Fatalf("dial: %d", status)
	}
	return f
}

func (c *rest) dialWith(uri, wsc string) (*feed, int) {
	c.t.Helper()
	if wsc != "" {
		uri += "&wsc=" + wsc
	}
	ws, resp, err := websocket.Dial(c.t.Context(), uri, &websocket.DialOptions{HTTPClient: c.http})
	if err != nil {
		if resp == nil {
			c.t.Fatalf("dial: %v", err)
		}
		return nil, resp.StatusCode
	}
	ws.SetReadLimit(1 << 20)
	f := &feed{t: c.t, ws: ws, wsc: wsc}
	c.t.Cleanup(func() { _ = ws.CloseNow() })
	return f, http.StatusSwitchingProtocols
}

// read gives the next message, or false when none comes any more.
func (f *feed) read(d time.Duration) (frame, bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), d)
	defer cancel()
	_, b, err := f.ws.Read(ctx)
	if err != nil {
		return frame{}, false
	}
	var parts []object
	if err := json.Unmarshal(b, &parts); err != nil || len(parts) == 0 {
		f.t.Fatalf("message %s: %v", b, err)
	}
	m := frame{meta: parts[0]}
	if len(parts) > 1 {
		m.body = parts[1]
	}
	if w, ok := m.meta["wsc"].(object); ok {
		f.wsc = w["token"].(string)
	}
	return m, true
}

func (f *feed) must(kind string) frame {
	f.t.Helper()
	m, ok := f.read(5 * time.Second)
	if !ok || m.kind() != kind {
		f.t.Fatalf("got %v, want a message of type %s", m, kind)
	}
	return m
}

// ask sends a ClientRequest and awaits its answer.
func (f *feed) ask(method, path string, body any) frame {
	f.t.Helper()
	f.next++
	id := strconv.Itoa(f.next)
	parts := []any{object{"type": "ClientRequest", "messageId": id, "method": method, "path": path}}
	if body != nil {
		parts = append(parts, body)
	}
	b, err := json.Marshal(parts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.send(string(b))
	for {
		m, ok := f.read(5 * time.Second)
		if !ok {
			f.t.Fatalf("%s %s: no answer", method, path)
		}
		if m.meta["messageId"] == id {
			return m
		}
		f.held = append(f.held, m)
	}
}

func (f *feed) send(text string) {
	f.t.Helper()
	if err := f.ws.Write(f.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		f.t.Fatal(err)
	}
}

// event gives the next notification's event.
func (f *feed) event() object {
	f.t.Helper()
	if len(f.held) > 0 {
		m := f.held[0]
		f.held = f.held[1:]
		return m.body
	}
	return f.must("ServerNotification").body
}

func subscribeTo(filters ...string) object {
	return object{"eventFilters": filters, "deliveryMode": object{"transportType": "WebSocket"}}
}

const (
	accountFilter = "/restapi/v1.0/account/~/telephony/sessions"
	bobFilter     = "/restapi/v1.0/account/~/extension/" + bobID + "/telephony/sessions"
	subscriptions = "/restapi/v1.0/subscription"
)

// subscribed opens a connection and subscribes.
func (c *rest) subscribed(filters ...string) *feed {
	c.t.Helper()
	f := c.dial("")
	f.must("ConnectionDetails")
	if m := f.ask("POST", subscriptions, subscribeTo(filters...)); m.status() != 200 {
		c.t.Fatalf("subscribe: %v", m)
	}
	return f
}

// quick is a feed whose events come at once.
func quick() ringsim.Config {
	return ringsim.Config{Switches: ringsim.Switches{Feed: ringsim.Feed{Delay: -1}, InviteDelay: -1}}
}

// sequences reads n events and gives their sequences.
func (f *feed) sequences(n int) []string {
	f.t.Helper()
	var out []string
	for range n {
		out = append(out, fmt.Sprint(f.event()["body"].(object)["sequence"]))
	}
	return out
}
