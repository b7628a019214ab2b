package evidence

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// hashFile reads the tree's hashes from the log's file.
type hashFile struct{ f *os.File }

// ReadHashes implements tlog.HashReader.
func (h hashFile) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if _, err := h.f.ReadAt(out[i][:], at*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("hash %d: %w", at, err)
		}
	}
	return out, nil
}

// ahead reads hashes that are not in the file yet from memory.
type ahead struct {
	tlog.HashReader
	from int64 // index of the first in more
	more []tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (a ahead) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		switch k := at - a.from; {
		case k >= int64(len(a.more)):
			return nil, errors.New("hash beyond the tree")
		case k >= 0:
			out[i] = a.more[k]
		default:
			h, err := a.HashReader.ReadHashes([]int64{at})
			if err != nil {
				return nil, err
			}
			out[i] = h[0]
		}
	}
	return out, nil
}

// grow gives the hashes that further leaves add to a tree of n.
func grow(r tlog.HashReader, n int64, leaves [][]byte) ([]tlog.Hash, error) {
	a := ahead{r, tlog.StoredHashCount(n), nil}
	for i, leaf := range leaves {
		more, err := tlog.StoredHashes(n+int64(i), leaf, a)
		if err != nil {
			return nil, err
		}
		a.more = append(a.more, more...)
	}
	return a.more, nil
}

// roots computes a tree's root from its leaves' hashes as they come, in O(log n) memory (RFC 6962 section 2.1): for each bit of the
// number of leaves that is set, the root of a whole subtree.
type roots struct {
	n     int64
	whole []tlog.Hash
	made  [64]tlog.Hash
}

// add takes the next leaf's hash, and gives those of the subtrees that it makes whole, the smallest first: what the tree stores after it. Valid
// until the next.
func (t *roots) add(leaf tlog.Hash) []tlog.Hash {
	made := t.made[:0]
	for n := t.n; n&1 == 1; n >>= 1 {
		last := len(t.whole) - 1
		leaf = tlog.NodeHash(t.whole[last], leaf)
		made = append(made, leaf)
		t.whole = t.whole[:last]
	}
	t.whole = append(t.whole, leaf)
	t.n++
	return made
}

func (t *roots) root() tlog.Hash {
	if t.n == 0 {
		h, _ := tlog.TreeHash(0, nil) // of the empty tree: reads nothing
		return h
	}
	h := t.whole[len(t.whole)-1]
	for i := len(t.whole) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.whole[i], h)
	}
	return h
}
