package main

import (
	"slices"
	"strings"
	"testing"
)

func TestWordsAreComparedAsTheyAreSaid(t *testing.T) {
	for text, want := range map[string]string{
		"Thank you, Mr. Dashwood!":  "thank you mister dashwood",
		"an ill-disposed young man": "an ill disposed young man",
		"I can't; it’s 'closed'.":   "i can't it's closed",
		"At 9, or 42, or 30.":       "at nine or forty two or thirty",
		"12 of 455-1234, 007":       "twelve of four five five one two three four zero zero seven",
		"50%":                       "fifty percent",
		"":                          "",
	} {
		if got := wordsOf(text); strings.Join(got, " ") != want {
			t.Errorf("wordsOf(%q): %q, want %q", text, got, want)
		}
	}
}

func TestErrorsAreTheFewestThatTurnOneTextIntoTheOther(t *testing.T) {
	for _, c := range []struct {
		want, got string
		errors    int
	}{
		{"a b c", "a b c", 0},
		{"a b c", "a x c", 1},
		{"a b c", "a c", 1},
		{"a b c", "a b b c", 1},
		{"a b c", "", 3},
		{"", "a b", 2},
		{"a b c d", "b c d e", 2},
		{"eight of spades", "eight of sage", 1},
	} {
		if got := wordErrors(strings.Fields(c.want), strings.Fields(c.got)); got != c.errors {
			t.Errorf("%q for %q: %d errors, want %d", c.got, c.want, got, c.errors)
		}
	}
}

func TestTheIntervalHoldsTheRate(t *testing.T) {
	scores := make([]score, 200)
	for i := range scores {
		scores[i] = score{words: 10, errors: i % 3}
	}
	width := 0.0
	for _, n := range []int{200, 50} {
		of := func(drawn []int) float64 { return rate(pick(scores[:n], drawn)) }
		low, high := interval(n, of)
		if r := rate(scores[:n]); low >= r || high <= r || high-low <= width {
			t.Errorf("%d utterances: %.2f to %.2f around %.2f, want it within, and wider with fewer", n, low, high, r)
		}
		width = high - low
	}
	if got := rate(nil); got != 0 {
		t.Errorf("rate of nothing: %v", got)
	}
}

func TestTranscriptionsOfPocketsphinxAreRead(t *testing.T) {
	m := transcribed.FindStringSubmatch("<s> ten of clubs  </s> (001)")
	if want := []string{"ten of clubs", "001"}; m == nil || !slices.Equal(m[1:], want) {
		t.Errorf("got %q, want %q", m, want)
	}
}

func TestTheTableHasARowForEachNetworkAndVoice(t *testing.T) {
	said := []utterance{{voice: "rms", text: "one two three"}, {voice: "slt", text: "four"}, {voice: "awb", text: "five"}, {voice: "human", text: "six"}}
	results := make([]result, len(networks()))
	for i := range results {
		results[i] = result{fillConcealed: make([]score, len(said)), fillSilent: make([]score, len(said))}
		for j := range said {
			results[i][fillConcealed][j] = score{words: 4, errors: 1}
			results[i][fillSilent][j] = score{words: 4, errors: 2}
		}
	}
	var out strings.Builder
	if err := table(&out, said, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"4 utterances, 6 words\n", "| none | | 25.0 (25.0 to 25.0) | |\n", "| bursty, 10 % | 50.0 (50.0 to 50.0) | 25.0 (25.0 to 25.0) | -25.0 (-25.0 to -25.0) |\n",
		"| human | 1 | 25.0 | 50.0, 25.0 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}
