package offer

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// inline is RingCentral's form: 40 base64 characters, 16 octets of key and 14 of salt.
const inline = "inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"

func TestRFC4568CryptoLines(t *testing.T) {
	octets := func(n int) string { return "inline:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }
	for _, tc := range []struct {
		name, value, suite string // suite "": refused
		mki                []byte
	}{
		{"plain", "1 AES_CM_128_HMAC_SHA1_80 " + inline, "AES_CM_128_HMAC_SHA1_80", nil},
		{"lower case, 32 bit tag", "2 aes_cm_128_hmac_sha1_32 " + inline, "AES_CM_128_HMAC_SHA1_32", nil},
		{"RFC 6188", "1 AES_256_CM_HMAC_SHA1_80 " + octets(46), "AES_256_CM_HMAC_SHA1_80", nil},
		{"old spelling", "1 AES_CM_256_HMAC_SHA1_80 " + octets(46), "AES_256_CM_HMAC_SHA1_80", nil},
		{"old spelling, 32 bit tag", "1 AES_CM_256_HMAC_SHA1_32 " + octets(46), "AES_256_CM_HMAC_SHA1_32", nil},
		{"RFC 7714, 128", "1 AEAD_AES_128_GCM " + octets(28), "AEAD_AES_128_GCM", nil},
		{"RFC 7714, 256", "1 AEAD_AES_256_GCM " + octets(44), "AEAD_AES_256_GCM", nil},
		{"no padding", "1 AES_256_CM_HMAC_SHA1_80 " + strings.TrimRight(octets(46), "="), "AES_256_CM_HMAC_SHA1_80", nil},
		{"lifetime as power", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|2^31", "AES_CM_128_HMAC_SHA1_80", nil},
		{"lifetime as number", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|281474976710656", "AES_CM_128_HMAC_SHA1_80", nil},
		{"lifetime and MKI", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|2^20|1:4", "AES_CM_128_HMAC_SHA1_80", []byte{0, 0, 0, 1}},
		{"MKI without lifetime", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|513:2", "AES_CM_128_HMAC_SHA1_80", []byte{2, 1}},
		{"several blanks", "1  AES_CM_128_HMAC_SHA1_80   " + inline + "  WSH=64", "AES_CM_128_HMAC_SHA1_80", nil},
		{"parameter to ignore", "1 AES_CM_128_HMAC_SHA1_80 " + inline + " -FOO=1 KDR=0", "AES_CM_128_HMAC_SHA1_80", nil},

		{"empty", "", "", nil},
		{"no key", "1 AES_CM_128_HMAC_SHA1_80", "", nil},
		{"tag is no number", "x AES_CM_128_HMAC_SHA1_80 " + inline, "", nil},
		{"tag of ten digits", "1234567890 AES_CM_128_HMAC_SHA1_80 " + inline, "", nil},
		{"unknown suite", "1 F8_128_HMAC_SHA1_80 " + inline, "", nil},
		{"key too short", "1 AES_CM_128_HMAC_SHA1_80 " + octets(29), "", nil},
		{"key too long", "1 AES_CM_128_HMAC_SHA1_80 " + octets(31), "", nil},
		{"GCM with the salt of CM", "1 AEAD_AES_128_GCM " + octets(30), "", nil},
		{"not base64", "1 AES_CM_128_HMAC_SHA1_80 inline:*****", "", nil},
		{"other key method", "1 AES_CM_128_HMAC_SHA1_80 uri:https://example.com", "", nil},
		{"lifetime 0", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|0", "", nil},
		{"lifetime is no number", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|long", "", nil},
		{"MKI length 0", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|1:0", "", nil},
		{"MKI length 129", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|1:129", "", nil},
		{"MKI does not fit", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|256:1", "", nil},
		{"MKI of a million digits", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|" + strings.Repeat("9", 1e6) + ":128", "", nil},
		{"too many fields", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|2^20|1:4|5", "", nil},
		{"several keys", "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|2^20|1:4;" + inline + "|2^20|2:4", "", nil},
		{"KDR", "1 AES_CM_128_HMAC_SHA1_80 " + inline + " KDR=1", "", nil},
		{"UNENCRYPTED_SRTP", "1 AES_CM_128_HMAC_SHA1_80 " + inline + " UNENCRYPTED_SRTP", "", nil},
		{"UNENCRYPTED_SRTCP", "1 AES_CM_128_HMAC_SHA1_80 " + inline + " UNENCRYPTED_SRTCP", "", nil},
		{"UNAUTHENTICATED_SRTP", "1 AES_CM_128_HMAC_SHA1_80 " + inline + " UNAUTHENTICATED_SRTP", "", nil},
		{"FEC_ORDER", "1 AES_CM_128_HMAC_SHA1_80 " + inline + " FEC_ORDER=FEC_SRTP", "", nil},
		{"unknown parameter", "1 AES_CM_128_HMAC_SHA1_80 " + inline + " FOO=1", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := parseCrypto(tc.value)
			if (err == nil) != (tc.suite != "") || c.key.Suite != tc.suite && err == nil {
				t.Fatalf("parseCrypto(%.80q): suite %q, %v; want suite %q", tc.value, c.key.Suite, err, tc.suite)
			}
			if err == nil && !bytes.Equal(c.key.MKI, tc.mki) {
				t.Errorf("MKI: got %x, want %x", c.key.MKI, tc.mki)
			}
		})
	}
}

func TestCryptoErrorNeverHoldsTheKey(t *testing.T) {
	const key = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"
	for _, value := range []string{
		"1 AES_CM_128_HMAC_SHA1_80 " + key, "1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "AA",
		"1 AES_CM_128_HMAC_SHA1_80 " + inline + " FEC_KEY=inline:" + key, "1 AES_CM_128_HMAC_SHA1_80 " + inline + "|0",
	} {
		if _, err := parseCrypto(value); err == nil || strings.Contains(err.Error(), key[:8]) {
			t.Errorf("parseCrypto(%q): got %v, want an error without the key", value, err)
		}
	}
}

func TestOurCryptoLineIsReadBack(t *testing.T) {
	for _, name := range []string{
		"AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_32",
		"AEAD_AES_128_GCM", "AEAD_AES_256_GCM",
	} {
		s, _ := suiteOf(name)
		k := newKey(s)
		c, err := parseCrypto(k.attribute("7", name))
		if err != nil || !c.key.equal(k) || c.tag != "7" {
			t.Errorf("%s: got tag %s, %v", name, c.tag, err)
		}
	}
}

func TestTitleGivesSessionAndParty(t *testing.T) {
	for _, tc := range []struct{ title, session, party string }{
		{"Y3MxNzE4NDE5MDMz party-id=cs171841903350030962-7", "Y3MxNzE4NDE5MDMz", "cs171841903350030962-7"},
		{"s-a0d7bc131844 party-id=p-a0d7bc131844-2", "s-a0d7bc131844", "p-a0d7bc131844-2"},
		{"party-id=p-1 s-1", "s-1", "p-1"},
		{"session-id=s-1; party-id=p-1", "s-1", "p-1"},
		{"party-id=p-1;session-id=s-1", "s-1", "p-1"},
		{"Y3Mx== Party-ID=p-1", "Y3Mx==", "p-1"},
		{"party-id=p-1", "", ""},
		{"s-1", "", ""},
		{"the voice of party-id=p-1", "", ""},
		{"s-1 party-id=p-1 party-id=p-2", "", ""},
		{"s-1 party-id=", "", ""},
		{"", "", ""},
	} {
		if s, p := parseTitle(tc.title); s != tc.session || p != tc.party {
			t.Errorf("parseTitle(%q): got %q, %q; want %q, %q", tc.title, s, p, tc.session, tc.party)
		}
	}
}

func TestEventsAreTheCommonPart(t *testing.T) {
	for fmtp, want := range map[string]string{
		"": "0-15", "0-15": "0-15", "0-16": "0-15", "0-15,66,70": "0-15", "0-9": "0-9", "1,3, 5-7": "1,3,5-7",
		"32-40": "", "apt=96": "0-15", "9-3": "", "0-255": "0-15", "0-11,16": "0-11",
	} {
		if got := commonEvents(fmtp); got != want {
			t.Errorf("commonEvents(%q): got %q, want %q", fmtp, got, want)
		}
	}
}

func FuzzCrypto(f *testing.F) {
	f.Add("1 AES_CM_128_HMAC_SHA1_80 " + inline)
	f.Add("2 AEAD_AES_256_GCM inline:AAAA|2^20|1:4 WSH=64")
	f.Add("1 AES_CM_256_HMAC_SHA1_32 " + inline + "|1:128;inline:")
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parseCrypto(value)
		if err != nil {
			return
		}
		s, ok := suiteOf(c.key.Suite)
		if !ok || len(c.key.Master) != s.key || len(c.key.Salt) != s.salt || len(c.key.MKI) > maxMKI {
			t.Fatalf("%q: key of %d, salt of %d octets for %q", value, len(c.key.Master), len(c.key.Salt), c.key.Suite)
		}
		back, err := parseCrypto(c.key.attribute(c.tag, c.spell))
		back.key.MKI = c.key.MKI
		if err != nil || !back.key.equal(&c.key) {
			t.Fatalf("%q does not survive writing: %v", value, err)
		}
	})
}

func FuzzTitle(f *testing.F) {
	f.Add("Y3MxNzE4NDE5MDMzNTAwMzA5NjJAMTAuNjIuMjUuMTEx party-id=cs171841903350030962-7")
	f.Add("session-id=s-1;party-id=p-1")
	f.Add("\xff\x00 \u2028 party-id=\x7f")
	f.Fuzz(func(t *testing.T, title string) {
		clean := cleanText(title)
		if len(clean) > maxTitle || strings.ContainsAny(clean, "\r\n\x00\x7f") || cleanText(clean) != clean {
			t.Fatalf("cleanText(%q): %q", title, clean)
		}
		s, p := parseTitle(clean)
		if (s == "") != (p == "") || strings.ContainsAny(s+p, " ;,") {
			t.Fatalf("parseTitle(%q): %q, %q", clean, s, p)
		}
	})
}
