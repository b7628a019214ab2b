package main

import "testing"

func TestPlainLeavesNothingForTheTerminalToObey(t *testing.T) {
	for in, want := range map[string]string{
		"s-12/ä 客": "s-12/ä 客", "\x1b[31m\n\u0085": "?[31m??", "a\u202eb": "a?b",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q): got %q, want %q", in, got, want)
		}
	}
}
