package vault_test

import (
	"testing"

	"github.com/earshot/earshot/recorder/vault"
)

func TestAPeriodIsReadAsItIsWritten(t *testing.T) {
	for in, want := range map[string]string{"5y": "5y", "90d": "90d", "2y6d": "2y6d", "36h": "36h0m0s", "1y12h": "1y12h0m0s"} {
		if p, err := vault.ParsePeriod(in); err != nil || p.String() != want {
			t.Errorf("%s: got %v, %v, want %s", in, p, err, want)
		}
	}
	for _, in := range []string{"", "5", "y", "-1y", "d5", "5d2y", "5 y", "-3h", "500y", "99999d", "1.5y"} {
		if p, err := vault.ParsePeriod(in); err == nil {
			t.Errorf("%q: got %v, want an error", in, p)
		}
	}
}

func TestAKeyNeverLetsTwoRecordingsShareAPlace(t *testing.T) {
	for _, ok := range []string{"{yyyy}/{mm}/{dd}/{folder}", "{folder}", "tenant-1/{call}/{folder}"} {
		if err := vault.CheckKey(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "{yyyy}/{mm}", "/{folder}", "{folder}/", "a//{folder}", "{folder}/{who}", "../{folder}", "{{folder}}", `a\{folder}`} {
		if err := vault.CheckKey(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
