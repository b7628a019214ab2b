package sip

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/icholy/digest"

	"github.com/earshot/earshot/internal/secret"
)

// digestVerdict is what became of a challenge.
type digestVerdict uint8

const (
	digestNone     digestVerdict = iota // no challenge that we know
	digestAnswered                      // the next request carries an answer
	digestSame                          // the same nonce came back: the password is wrong
)

// digestAuth answers challenges (RFC 7616, RFC 8760, and RFC 2069 without qop as RingCentral sends it). It keeps the last
// nonce for the next request, so that a refresh needs one round trip. Owned by one goroutine.
type digestAuth struct {
	user     string
	password secret.Text

	chal  *digest.Challenge
	proxy bool // Proxy-Authorization
	count int  // requests under this nonce
	fresh bool // the nonce came in this REGISTER
}

// begin starts a new request: a remembered nonce may be answered once more.
func (d *digestAuth) begin() { d.fresh = false }

// challenge reads the WWW-Authenticate or Proxy-Authenticate values of a 401 or 407.
func (d *digestAuth) challenge(values []string, proxy bool) digestVerdict {
	best := strongest(values)
	if best == nil {
		d.chal = nil
		return digestNone
	}
	if d.chal != nil && d.fresh && d.chal.Nonce == best.Nonce && !best.Stale {
		d.chal = nil
		return digestSame
	}
	d.chal, d.proxy, d.count, d.fresh = best, proxy, 0, true
	return digestAnswered
}

// next takes the nonce that a 200 gives for the next request (RFC 7616 section 3.5), so that it is not challenged.
func (d *digestAuth) next(infos []string) {
	if d.chal == nil {
		return
	}
	for _, v := range infos {
		for p := range strings.SplitSeq(v, ",") {
			name, nonce, _ := strings.Cut(strings.TrimSpace(p), "=")
			if nonce = strings.Trim(nonce, `"`); strings.EqualFold(name, "nextnonce") && nonce != "" && !strings.ContainsAny(nonce, "\"\\") {
				d.chal.Nonce, d.count = nonce, 0
			}
		}
	}
}

// strength orders the algorithms that we can compute; 0 means none. RFC 8760 section 2.4: the strongest known wins.
func strength(algorithm string) int {
	return 1 + slices.Index([]string{"MD5", "SHA-256", "SHA-512-256", "SHA-512"}, algorithm)
}

// strongest picks the challenge to answer, nil if we know none.
func strongest(values []string) *digest.Challenge {
	var best *digest.Challenge
	level := 0
	for _, v := range splitChallenges(values) {
		c, err := digest.ParseChallenge(v)
		if err != nil || c.Nonce == "" {
			continue
		}
		alg := strings.ToUpper(c.Algorithm)
		if alg == "" {
			alg = "MD5"
		}
		for i := range c.QOP {
			c.QOP[i] = strings.ToLower(strings.TrimSpace(c.QOP[i]))
		}
		c.QOP = slices.DeleteFunc(c.QOP, func(q string) bool { return q == "" })
		if len(c.QOP) > 0 && !c.SupportsQOP("auth") {
			continue // auth-int alone: no registrar is known to ask it
		}
		if s := strength(alg); s > level {
			best, level = c, s
		}
	}
	return best
}

// maxChallengeValues bounds how many challenges of one response are looked at.
const maxChallengeValues = 8

// splitChallenges separates several challenges in one line (RFC 7235 section 4.1: a comma may part both challenges and
// parameters).
func splitChallenges(values []string) []string {
	var out []string
	for _, v := range values {
		for len(out) < maxChallengeValues {
			i := nextChallenge(v)
			if i < 0 {
				out = append(out, v)
				break
			}
			out, v = append(out, strings.TrimRight(v[:i], ", \t")), v[i:]
		}
	}
	return out
}

// nextChallenge finds where a second "Digest " begins outside quotes, -1 if nowhere.
func nextChallenge(v string) int {
	quoted := false
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '\\' && quoted:
			i++
		case v[i] == '"':
			quoted = !quoted
		case !quoted && i > 0 && (v[i-1] == ' ' || v[i-1] == ',') && digest.IsDigest(v[i:]):
			if strings.TrimRight(v[:i], ", \t") != "" {
				return i
			}
		}
	}
	return -1
}

// authorization gives the header for the next request; no name without a challenge.
func (d *digestAuth) authorization(method, uri string) (name, value string, err error) {
	if d.chal == nil {
		return "", "", nil
	}
	d.count++
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	cred, err := digest.Digest(d.chal, digest.Options{
		Method: method, URI: uri, Username: d.user, Password: d.password.Reveal(), Count: d.count, Cnonce: hex.EncodeToString(b[:]),
	})
	if err != nil {
		d.chal = nil
		return "", "", fmt.Errorf("digest: %w", err)
	}
	name = "Authorization"
	if d.proxy {
		name = "Proxy-Authorization"
	}
	return name, cred.String(), nil
}
