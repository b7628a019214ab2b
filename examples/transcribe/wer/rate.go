package main

import (
	"math/rand/v2"
	"slices"
)

// score is what was understood of one utterance, over all its tries.
type score struct{ words, errors int }

// rate is the word error rate of scores in percent, all words counting alike.
func rate(scores []score) float64 {
	var sum score
	for _, s := range scores {
		sum.words += s.words
		sum.errors += s.errors
	}
	return 100 * float64(sum.errors) / float64(max(1, sum.words))
}

// resamples of the bootstrap.
const resamples = 10_000

// interval is the 95 % confidence interval of what f makes of utterances: the bootstrap's percentiles. It draws whole utterances, for the words
// of one, and its tries, go wrong together.
func interval(n int, f func(drawn []int) float64) (low, high float64) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, resamples)
	drawn := make([]int, n)
	for i := range values {
		for j := range drawn {
			drawn[j] = r.IntN(n)
		}
		values[i] = f(drawn)
	}
	slices.Sort(values)
	return values[resamples*25/1000], values[resamples*975/1000]
}

// pick gives the scores of the utterances drawn.
func pick(scores []score, drawn []int) []score {
	out := make([]score, len(drawn))
	for i, d := range drawn {
		out[i] = scores[d]
	}
	return out
}
