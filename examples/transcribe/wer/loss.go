package main

import "math/rand/v2"

// network is how packets get lost.
type network struct {
	name   string
	share  float64
	bursty bool
}

// networks are those of the table.
func networks() []network {
	return []network{
		{name: "none"},
		{name: "random, 3 %", share: 0.03},
		{name: "random, 10 %", share: 0.10},
		{name: "bursty, 3 %", share: 0.03, bursty: true},
		{name: "bursty, 10 %", share: 0.10, bursty: true},
	}
}

// stay is the chance that a burst goes on (Gilbert's model): two packets long on average.
const stay = 0.5

// losses says which of n packets are lost. The first and the last are not: they are a track's beginning and end.
func (w network) losses(n int, seed uint64) []bool {
	r := rand.New(rand.NewPCG(seed, 42))
	lost := make([]bool, n)
	bad := false
	for i := 1; i < n-1; i++ {
		switch {
		case !w.bursty:
			bad = r.Float64() < w.share
		case bad:
			bad = r.Float64() < stay
		default:
			bad = r.Float64() < w.share*(1-stay)/(1-w.share)
		}
		lost[i] = bad
	}
	return lost
}
