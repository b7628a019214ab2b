package main

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

// TestALockThatOutlivesRetentionIsNamed before anything is locked: afterwards nobody can take it back.
func TestALockThatOutlivesRetentionIsNamed(t *testing.T) {
	policy := recorder.Retention{
		Default: recorder.Period{Days: 90},
		Classes: []recorder.Class{{Name: "claims", Keep: recorder.Period{Years: 5}}, {Name: "board"}},
	}
	for _, c := range []struct {
		name string
		v    vault.Config
		want []string // classes
	}{
		{"no lock", vault.Config{}, nil},
		{"as long", vault.Config{Lock: vault.LockCompliance, For: vault.Period{Days: 90}}, nil},
		{"longer than the default", vault.Config{Lock: vault.LockCompliance, For: vault.Period{Days: 91}}, []string{"default"}},
		{"longer than all", vault.Config{Lock: vault.LockGovernance, For: vault.Period{Years: 6}}, []string{"default", "claims"}},
		{"a hold", vault.Config{LegalHold: true}, []string{"default", "claims"}},
	} {
		found := lockFindings(c.v, policy, time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
		if len(found) != len(c.want) {
			t.Errorf("%s: got %+v, want %v", c.name, found, c.want)
			continue
		}
		for i, class := range c.want {
			if !strings.Contains(found[i].Found, "class "+class) || found[i].Do == "" {
				t.Errorf("%s: got %+v, want class %s and what to do", c.name, found[i], class)
			}
		}
	}
	if found := lockFindings(vault.Config{Lock: vault.LockCompliance, For: vault.Period{Years: 5}}, recorder.Retention{}, time.Now()); len(found) != 0 {
		t.Errorf("no policy: got %+v", found)
	}
}
