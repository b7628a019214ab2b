package stream

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/media"
)

// checkWay looks at how the consumer is reached, and chooses who does it.
func (c *Consumer) checkWay() error {
	var errs []error
	switch c.Type {
	case TypeExec:
		errs = append(errs, c.checkCommand())
	case TypeUnix, TypeFIFO:
		c.dial = dialRaw
		if c.Type == TypeFIFO {
			c.dial = dialFIFO
		}
		if c.Address == "" || strings.ContainsRune(c.Address, 0) {
			errs = append(errs, fmt.Errorf("address: got %q, want a path such as /run/asr.sock", c.Address))
		}
		c.Name = or(c.Name, filepath.Base(c.Address))
	case TypeTCP:
		c.dial = dialRaw
		errs = append(errs, checkHostPort(c.Address))
		c.Name = or(c.Name, c.Address)
	case TypeWebSocket, TypeTwilio, TypeOpenAI, TypeAudioHook:
		errs = append(errs, c.checkDialect(), c.checkURL(), c.checkHeaders(), c.checkKeepAlive())
		c.Name = or(c.Name, c.host())
	default:
		types := []string{TypeExec, TypeUnix, TypeTCP, TypeFIFO, TypeWebSocket, TypeTwilio, TypeOpenAI, TypeAudioHook}
		errs = append(errs, fmt.Errorf("type: got %q, want %s", c.Type, strings.Join(types, ", ")))
	}
	if c.TLS && slices.Contains([]string{TypeExec, TypeUnix, TypeFIFO}, c.Type) {
		errs = append(errs, fmt.Errorf("tls: a consumer of type %s is on this machine: want type tcp", c.Type))
	}
	if c.Revoked != "" && slices.Contains([]string{TypeExec, TypeUnix, TypeTCP, TypeFIFO}, c.Type) {
		errs = append(errs, errors.New("revoked: only a websocket can be told: the others get samples and nothing else"))
	}
	if c.dial != nil {
		errs = append(errs, c.checkTexts())
		var err error
		c.roots, err = loadRoots(c.CAFile)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkDialect chooses who speaks on a WebSocket, and sees to what that one's form fixes.
func (c *Consumer) checkDialect() error {
	if c.Header && c.Type != TypeWebSocket {
		return fmt.Errorf("header: messages of type %s have a form that is fixed, and say where their audio lies themselves", c.Type)
	}
	switch c.Type {
	case TypeTwilio:
		c.dial = dialTwilio
		return c.checkTwilio()
	case TypeOpenAI:
		c.dial = dialOpenAI
		return c.checkOpenAI()
	case TypeAudioHook:
		c.dial = dialAudioHook
		return c.checkAudioHook()
	}
	c.dial = dialTemplate
	return nil
}

func checkHostPort(address string) error {
	host, port, err := net.SplitHostPort(address)
	n, bad := strconv.Atoi(port)
	if err != nil || bad != nil || host == "" || n < 1 || n > 65535 {
		return fmt.Errorf("address: got %q, want host:port", address)
	}
	return nil
}

func (c *Consumer) checkURL() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.User != nil {
		return errors.New("url: want one that begins with wss:// or ws://, without a user in it: secrets go into headers, or {secret}")
	}
	if c.Secret != "" && u.Scheme != "wss" && !local(u.Hostname()) {
		return errors.New("url: want wss://: the secret would go over the network in plain")
	}
	if err := checkTemplate("url", c.URL, true); err != nil {
		return err
	}
	return c.checkSecret()
}

// checkSecret: a {secret} that is empty would be a log-in without a password, refused anew for as long as each call lives.
func (c *Consumer) checkSecret() error {
	if c.Secret == "" && strings.Contains(c.URL+strings.Join(c.Headers, ""), "{secret}") {
		return errors.New("secret: got none, and {secret} stands in url or headers: want secret or secret_file")
	}
	return nil
}

// local tells whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// host names the consumer without what its URL may hold besides.
func (c *Consumer) host() string {
	if u, err := url.Parse(c.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return c.Type
}

// hide takes the secret out of a text, as it is and as it stands in a URL.
func (c *Consumer) hide(text string) string {
	if s := c.Secret.Reveal(); s != "" {
		text = strings.NewReplacer(s, c.Secret.String(), inQuery(s), c.Secret.String()).Replace(text)
	}
	return text
}

// maxError bounds what is told of an error, in octets.
const maxError = 400

// fit makes an error fit to be told: the far side chose words of it, and may repeat what we sent, or say a megabyte.
func (c *Consumer) fit(err error) error {
	text := clean([]byte(c.hide(err.Error())))
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "..."
	}
	return errors.New(text)
}

// headerName are the letters of a header's name, which needs no more than these (RFC 9110 section 5.6.2).
const headerName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func (c *Consumer) checkHeaders() error {
	for _, h := range c.Headers {
		k, v, ok := strings.Cut(h, ":")
		if k = strings.TrimSpace(k); !ok || k == "" || strings.Trim(k, headerName) != "" || strings.ContainsAny(v, "\r\n\x00") {
			return fmt.Errorf("headers: %q: want a line such as \"Authorization: Bearer {secret}\"", k)
		}
		if err := checkTemplate("headers", v, true); err != nil {
			return err
		}
	}
	return nil
}

const (
	minKeepAlive     = time.Second
	maxKeepAlive     = time.Hour
	defaultKeepAlive = 5 * time.Second
)

func (c *Consumer) checkKeepAlive() error {
	if c.KeepAlive == "" {
		return nil
	}
	if c.KeepAliveEvery == 0 {
		c.KeepAliveEvery = defaultKeepAlive
	}
	if c.KeepAliveEvery < minKeepAlive || c.KeepAliveEvery > maxKeepAlive {
		return fmt.Errorf("keepalive_every: got %v, want %v to %v", c.KeepAliveEvery, minKeepAlive, maxKeepAlive)
	}
	return nil
}

// maxText bounds a configured text, in octets.
const maxText = 16 << 10

func (c *Consumer) checkTexts() error {
	var errs []error
	for _, t := range []struct{ key, text string }{{"first", c.First}, {"last", c.Last}, {"keepalive", c.KeepAlive}, {"address", c.Address},
		{"revoked", strings.NewReplacer("{from}", "0", "{samples}", "0").Replace(c.Revoked)}} {
		if len(t.text) > maxText {
			errs = append(errs, fmt.Errorf("%s: more than %d octets", t.key, maxText))
			continue
		}
		errs = append(errs, checkTemplate(t.key, t.text, false))
	}
	return errors.Join(errs...)
}

// checkTwilio sees to what Twilio's form fixes.
func (c *Consumer) checkTwilio() error {
	if c.First != "" || c.Last != "" || c.KeepAlive != "" || c.Subprotocol != "" || c.Revoked != "" {
		return errors.New("first, last, keepalive, subprotocol, revoked: the form of Twilio's messages is fixed")
	}
	if c.Format != FormatMulaw || c.Rate != media.SampleRate {
		return fmt.Errorf("format: got %s at %d Hz, want mulaw at 8000: it is all that Twilio sends", c.Format, c.Rate)
	}
	return nil
}
