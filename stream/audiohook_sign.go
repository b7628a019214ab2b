package stream

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // a name, no secret (RFC 9562 section 5.5)
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Headers of an AudioHook request; their lower case is what the signature names.
const (
	hookOrganization = "Audiohook-Organization-Id"
	hookSession      = "Audiohook-Session-Id"
	hookCorrelation  = "Audiohook-Correlation-Id"
	hookKey          = "X-Api-Key"
)

// signLifetime is how long a signature holds, as the reference client has it.
const signLifetime = 30 * time.Second

// signHook signs a request as AudioHook documents it: an HTTP message signature (RFC 9421, a draft of it then) with HMAC-SHA256 over the target, the host and the
// headers that name the session. nonce has 22 characters or more.
func signHook(key []byte, target string, head http.Header, nonce string, now time.Time) error {
	u, err := url.Parse(target)
	if err != nil {
		return errors.New("url: is none once it is filled in")
	}
	names, base := "", ""
	for _, c := range [][2]string{
		{"@request-target", u.RequestURI()}, {"@authority", authority(u)},
		{hookOrganization, head.Get(hookOrganization)}, {hookSession, head.Get(hookSession)}, {hookCorrelation, head.Get(hookCorrelation)}, {hookKey, head.Get(hookKey)},
	} {
		name := `"` + strings.ToLower(c[0]) + `"`
		names += " " + name
		base += name + ": " + strings.TrimSpace(c[1]) + "\n"
	}
	parameters := fmt.Sprintf(`(%s);keyid=%s;nonce=%s;alg="hmac-sha256";created=%d;expires=%d`,
		names[1:], sfString(head.Get(hookKey)), sfString(nonce), now.Unix(), now.Add(signLifetime).Unix())
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(base + `"@signature-params": ` + parameters))
	head.Set("Signature-Input", "sig1="+parameters)
	head.Set("Signature", "sig1=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":")
	return nil
}

// authority is a URL's host as RFC 9421 section 2.2.3 has it: in lower case, and without the port that its scheme has anyway.
func authority(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "wss":
		return strings.TrimSuffix(host, ":443")
	default:
		return strings.TrimSuffix(host, ":80")
	}
}

// sfString is a string of structured fields (RFC 8941 section 3.3.3).
func sfString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// hookNonce is one that nobody guesses.
func hookNonce() string { return base64.StdEncoding.EncodeToString(randomBytes(18)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// randomUUID is one of version 4.
func randomUUID() string { return uuidOf(randomBytes(16), 4) }

// hookNamespace makes names of ours UUIDs of ours.
const hookNamespace = "earshot audiohook"

// uuidFor gives the same UUID for the same name, of version 5.
func uuidFor(kind, name string) string {
	sum := sha1.Sum([]byte(hookNamespace + "\x00" + kind + "\x00" + name)) //nolint:gosec // as above
	return uuidOf(sum[:16], 5)
}

func uuidOf(b []byte, version byte) string {
	b[6], b[8] = b[6]&0x0f|version<<4, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// isUUID tells whether a text is one.
func isUUID(s string) bool {
	plain := strings.ReplaceAll(s, "-", "")
	_, err := hex.DecodeString(plain)
	return err == nil && len(plain) == 32 && len(s) == 36 && strconv.Itoa(strings.Count(s, "-")) == "4"
}
