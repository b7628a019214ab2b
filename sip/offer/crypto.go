package offer

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/earshot/earshot/internal/secret"
)

// defaultSuite is what we offer: the one that everybody has (RFC 4568 section 6.2.1).
const defaultSuite = "AES_CM_128_HMAC_SHA1_80"

// maxMKI is the longest MKI in octets (RFC 4568 section 9.2).
const maxMKI = 128

// suite is a crypto suite with the lengths of its master key and salt in octets.
type suite struct {
	name      string
	key, salt int
}

// suiteOf finds a suite by name, in any case and in the spelling of the drafts before RFC 6188.
func suiteOf(name string) (suite, bool) {
	switch strings.ToUpper(name) {
	case "AES_CM_128_HMAC_SHA1_80":
		return suite{defaultSuite, 16, 14}, true
	case "AES_CM_128_HMAC_SHA1_32":
		return suite{"AES_CM_128_HMAC_SHA1_32", 16, 14}, true
	case "AES_256_CM_HMAC_SHA1_80", "AES_CM_256_HMAC_SHA1_80":
		return suite{"AES_256_CM_HMAC_SHA1_80", 32, 14}, true
	case "AES_256_CM_HMAC_SHA1_32", "AES_CM_256_HMAC_SHA1_32":
		return suite{"AES_256_CM_HMAC_SHA1_32", 32, 14}, true
	case "AEAD_AES_128_GCM":
		return suite{"AEAD_AES_128_GCM", 16, 12}, true
	case "AEAD_AES_256_GCM":
		return suite{"AEAD_AES_256_GCM", 32, 12}, true
	}
	return suite{}, false
}

// crypto is one a=crypto line that we fully support.
type crypto struct {
	tag   string // as written: the answer repeats it
	spell string // the suite as written: the answer repeats it
	key   Key
}

// parseCrypto reads the value of a=crypto (RFC 4568 section 9.1):
//
//	tag crypto-suite key-params *(WSP session-param)
//
// An error means only that this line is passed over for the next (section 7.1.2).
func parseCrypto(value string) (crypto, error) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return crypto{}, fmt.Errorf("a=crypto: %d fields, want at least 3", len(f))
	}
	c := crypto{tag: f[0], spell: f[1]}
	if len(c.tag) > 9 || strings.Trim(c.tag, "0123456789") != "" {
		return crypto{}, errors.New("a=crypto: tag is not a number of up to 9 digits")
	}
	s, ok := suiteOf(c.spell)
	if !ok {
		return crypto{}, fmt.Errorf("a=crypto: suite %.40q is unknown", c.spell)
	}
	for _, p := range f[3:] {
		if err := checkSessionParam(p); err != nil {
			return crypto{}, err
		}
	}
	var err error
	c.key, err = parseInline(f[2], s)
	return c, err
}

// parseInline reads key-params: "inline:" key||salt ["|" lifetime] ["|" MKI ":" length] (RFC 4568 section 6.1).
func parseInline(params string, s suite) (Key, error) {
	if strings.Contains(params, ";") {
		return Key{}, errors.New("a=crypto: several keys in one line")
	}
	method, info, _ := strings.Cut(params, ":")
	if !strings.EqualFold(method, "inline") {
		return Key{}, errors.New("a=crypto: key method is not inline")
	}
	parts := strings.Split(info, "|")
	// Padding is not always there in the wild.
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil {
		return Key{}, errors.New("a=crypto: key is not base64")
	}
	if len(raw) != s.key+s.salt {
		return Key{}, fmt.Errorf("a=crypto: key and salt are %d octets, want %d", len(raw), s.key+s.salt)
	}
	k := Key{Suite: s.name, Master: secret.Text(raw[:s.key]), Salt: secret.Text(raw[s.key:])}
	rest := parts[1:]
	// The lifetime may be absent before an MKI: the field with a colon is the MKI (section 9.2).
	if len(rest) > 0 && !strings.Contains(rest[0], ":") {
		if err = checkLifetime(rest[0]); err != nil {
			return Key{}, err
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		if k.MKI, err = parseMKI(rest[0]); err != nil {
			return Key{}, err
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		return Key{}, errors.New("a=crypto: too many key fields")
	}
	return k, nil
}

// checkLifetime refuses what is no lifetime, or 0. A lifetime beyond the suite's maximum is the sender's affair.
func checkLifetime(s string) error {
	digits, power := strings.CutPrefix(s, "2^")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || (n == 0 && !power) {
		return fmt.Errorf("a=crypto: lifetime %.20q, want 2^n or a number from 1", s)
	}
	return nil
}

// parseMKI reads "value:length": a decimal number written big-endian in that many octets.
func parseMKI(s string) ([]byte, error) {
	value, length, _ := strings.Cut(s, ":")
	n, err := strconv.Atoi(length)
	if err != nil || n < 1 || n > maxMKI {
		return nil, fmt.Errorf("a=crypto: MKI length %.20q, want 1 to %d", length, maxMKI)
	}
	// 309 digits hold 128 octets; a longer number is not looked at, as its conversion is quadratic.
	if value == "" || len(value) > 310 || strings.Trim(value, "0123456789") != "" {
		return nil, errors.New("a=crypto: MKI is not a number")
	}
	v, _ := new(big.Int).SetString(value, 10)
	if v.BitLen() > n*8 {
		return nil, fmt.Errorf("a=crypto: MKI needs %d bits, its length is %d octets", v.BitLen(), n)
	}
	return v.FillBytes(make([]byte, n)), nil
}

// checkSessionParam refuses what would change how packets are protected in a way that we do not do (RFC 4568 section 6.3).
func checkSessionParam(p string) error {
	name, value, _ := strings.Cut(p, "=")
	switch {
	case strings.EqualFold(name, "KDR") && value == "0": // the default
	case strings.EqualFold(name, "WSH"): // a hint of at least 64: ours is far larger
		if _, err := strconv.ParseUint(value, 10, 31); err != nil {
			return errors.New("a=crypto: WSH is not a number")
		}
	case strings.HasPrefix(p, "-"): // an extension that may be ignored (section 6.3.7)
	default:
		// Only the name: FEC_KEY's value is a key.
		return fmt.Errorf("a=crypto: session parameter %.40q is not supported", name)
	}
	return nil
}

// newKey makes a key of our own for suite s. RFC 4568 section 6.1: each line has one of its own.
func newKey(s suite) *Key {
	b := make([]byte, s.key+s.salt)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return &Key{Suite: s.name, Master: secret.Text(b[:s.key]), Salt: secret.Text(b[s.key:])}
}

// attribute gives the value of our a=crypto line.
func (k *Key) attribute(tag, spell string) string {
	raw := k.Master.Reveal() + k.Salt.Reveal()
	return tag + " " + spell + " inline:" + base64.StdEncoding.EncodeToString([]byte(raw))
}

// equal says whether both keys are the same in all that matters to SRTP.
func (k *Key) equal(l *Key) bool {
	if k == nil || l == nil {
		return k == l
	}
	return k.Suite == l.Suite && k.Master == l.Master && k.Salt == l.Salt && string(k.MKI) == string(l.MKI)
}
