package main

import (
	"strings"
	"unicode"
)

// wordsOf gives the words of a text in the form in which they are compared: small letters, numbers spelt out, no punctuation but the apostrophe.
func wordsOf(text string) []string {
	text = strings.NewReplacer("’", "'", "%", " percent ", "mr.", "mister", "Mr.", "mister", "Mrs.", "missus").Replace(text)
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' }) {
		if w = strings.Trim(w, "'"); w == "" {
			continue
		}
		out = append(out, spelt(w)...)
	}
	return out
}

var (
	ones = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
	tens = strings.Fields("- - twenty thirty forty fifty sixty seventy eighty ninety")
)

// spelt spells out a number of one or two digits; a longer one digit by digit, as one says an account's.
func spelt(w string) []string {
	if strings.Trim(w, "0123456789") != "" {
		return []string{w}
	}
	if n := int(w[len(w)-1] - '0'); len(w) == 2 && w[0] != '0' {
		n += 10 * int(w[0]-'0')
		switch {
		case n < 20:
			return ones[n : n+1]
		case n%10 == 0:
			return tens[n/10 : n/10+1]
		}
		return []string{tens[n/10], ones[n%10]}
	}
	var out []string
	for _, d := range w {
		out = append(out, ones[d-'0'])
	}
	return out
}

// wordErrors is how many words must be put in, taken out or replaced to make one text of the other: the edit distance.
func wordErrors(want, got []string) int {
	row := make([]int, len(got)+1)
	for j := range row {
		row[j] = j
	}
	for i, w := range want {
		diagonal := row[0]
		row[0] = i + 1
		for j, g := range got {
			best := diagonal
			if w != g {
				best = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], best
		}
	}
	return row[len(got)]
}
