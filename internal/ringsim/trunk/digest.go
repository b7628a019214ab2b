package trunk

import (
	"crypto/md5" //nolint:gosec // the digest of RFC 2069 and 2617 is MD5
	"crypto/subtle"
	"encoding/hex"
	"fmt"
)

// digestResponse is RFC 2617 section 3.2.2.1, or RFC 2069 section 2.1.2 where qop is empty.
func digestResponse(user, realm, password, method string, c map[string]string) string {
	ha1 := md5hex(user + ":" + realm + ":" + password)
	ha2 := md5hex(method + ":" + c["uri"])
	if c["qop"] == "" {
		return md5hex(ha1 + ":" + c["nonce"] + ":" + ha2)
	}
	return md5hex(ha1 + ":" + c["nonce"] + ":" + c["nc"] + ":" + c["cnonce"] + ":" + c["qop"] + ":" + ha2)
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// checkDigest says what is wrong with a REGISTER's credentials; the nonce is not looked at.
func (t *Trunk) checkDigest(c map[string]string) (User, error) {
	user, ok := t.cfg.User(c["username"])
	if !ok {
		return user, fmt.Errorf("unknown username %q: the digest username is the authorization id", c["username"])
	}
	if c["realm"] != t.cfg.Domain {
		return user, fmt.Errorf("realm is %q, want %q", c["realm"], t.cfg.Domain)
	}
	if want := "sip:" + t.cfg.Domain; c["uri"] != want {
		return user, fmt.Errorf("digest uri is %q, want %q", c["uri"], want)
	}
	if a := c["algorithm"]; a != "" && a != "MD5" {
		return user, fmt.Errorf("algorithm is %q, want MD5", a)
	}
	if t.cfg.Qop && (c["qop"] != "auth" || c["cnonce"] == "" || len(c["nc"]) != 8) {
		return user, fmt.Errorf("qop is %q with nc %q, want auth with cnonce and 8 digits of nc", c["qop"], c["nc"])
	}
	if !t.cfg.Qop && c["qop"] != "" {
		return user, fmt.Errorf("qop is %q, but the challenge had none", c["qop"])
	}
	want := digestResponse(user.AuthID, t.cfg.Domain, user.Password, "REGISTER", c)
	if subtle.ConstantTimeCompare([]byte(want), []byte(c["response"])) != 1 {
		return user, fmt.Errorf("wrong digest response of %s: wrong password", user.AuthID)
	}
	return user, nil
}
