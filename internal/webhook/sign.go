package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/secret"
)

// The headers of Standard Webhooks.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

const (
	secretPrefix = "whsec_"
	leastKey     = 24 // octets, by the specification
	mostKey      = 64
)

// ParseSecret reads a secret as it is handed around: whsec_ and base64 of 24 to 64 octets. The error does not show it.
func ParseSecret(s secret.Text) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), secretPrefix))
	switch {
	case s == "":
		return nil, errors.New("missing: make one with: echo whsec_$(openssl rand -base64 32)")
	case !strings.HasPrefix(s.Reveal(), secretPrefix) || err != nil:
		return nil, errors.New("want whsec_ and base64: make one with: echo whsec_$(openssl rand -base64 32)")
	case len(key) < leastKey || len(key) > mostKey:
		return nil, errors.New("want 24 to 64 octets behind whsec_: make one with: echo whsec_$(openssl rand -base64 32)")
	}
	return key, nil
}

// sign gives a message's signature: of its id, the time of this try in seconds, and its body, with dots between.
func sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
