package evidence

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sample is a log of n leaves, with a checkpoint kept at each size.
func sample(t testing.TB, n int) (dir string, k *Key, kept []*Checkpoint) {
	t.Helper()
	dir, k = filepath.Join(t.TempDir(), "log"), testKey(t)
	l := openLog(t, dir, k)
	for i := range n {
		appendLeaves(t, l, i, 1)
		c := l.Checkpoint()
		kept = append(kept, &c)
	}
	return dir, k, kept
}

func TestWhatWasDoneToALogIsNamed(t *testing.T) {
	dir, k, kept := sample(t, 20)
	good := readAll(t, dir)
	lines := bytes.SplitAfter(good[leavesName], []byte("\n"))
	lines = lines[:len(lines)-1]
	join := func(l [][]byte) []byte { return bytes.Join(l, nil) }
	with := func(i int, l ...[]byte) []byte {
		return join(slices.Concat(lines[:i], l, lines[i+1:]))
	}
	for _, c := range []struct {
		name   string
		leaves []byte
		want   []string
	}{
		{"a line is changed", with(4, []byte("{\"leaf\":99}\n")), []string{"changed log/leaves.jsonl:5"}},
		{"the last line is changed", with(19, []byte("{\"leaf\":99}\n")), []string{"changed log/leaves.jsonl:20"}},
		{"two in a row are changed", join(slices.Concat(lines[:4], [][]byte{[]byte("{\"a\":1}\n"), []byte("{\"b\":1}\n")}, lines[6:])), []string{"changed log/leaves.jsonl:5", "changed log/leaves.jsonl:6"}},
		{"a line is taken out", with(4), []string{"removed log/leaves.jsonl: leaf 5"}},
		{"a line is put in", with(4, []byte("{\"leaf\":99}\n"), lines[4]), []string{"changed log/leaves.jsonl:5"}},
		{"two lines are swapped", join(slices.Concat(lines[:4], [][]byte{lines[5], lines[4]}, lines[6:])), []string{"moved log/leaves.jsonl:6"}},
		{"the end is cut off", join(lines[:17]), []string{"cut_off log/leaves.jsonl", "last 3 leaves"}},
		{"a line is put behind", join(append(slices.Clone(lines), []byte("{\"leaf\":20}\n"))), []string{"added log/leaves.jsonl:21"}},
		{"a piece of a line is put behind", append(join(lines), '{'), []string{"added log/leaves.jsonl:21"}},
		{"all is gone", nil, []string{"cut_off log/leaves.jsonl"}},
	} {
		lay(t, dir, good)
		lay(t, dir, map[string][]byte{leavesName: c.leaves})
		r, bad := checked(t, dir, &k.Public)
		for _, want := range c.want {
			if !strings.Contains(bad, want) {
				t.Errorf("%s: want %q, got\n%s", c.name, want, bad)
			}
		}
		if r.Proven != 0 || strings.Count(bad, "\n") > len(c.want) {
			t.Errorf("%s: %d proven, found\n%s", c.name, r.Proven, bad)
		}
		if r, _ := checked(t, dir, &k.Public, kept[3]); c.leaves != nil && r.Proven != 4 {
			t.Errorf("%s: the first 4 leaves are proven by a checkpoint that was kept, got %d", c.name, r.Proven)
		}
	}
}

func TestYesterdaysLogIsFoundByACheckpointKeptElsewhere(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "log"), testKey(t)
	l := openLog(t, dir, k)
	appendLeaves(t, l, 0, 8)
	yesterday := readAll(t, dir)
	appendLeaves(t, l, 8, 4)
	kept := l.Checkpoint()
	lay(t, dir, yesterday)
	if _, bad := checked(t, dir, &k.Public); bad != "" {
		t.Fatalf("nobody can see it from the log alone, and yet: %s", bad)
	}
	if _, bad := checked(t, dir, &k.Public, &kept); !strings.Contains(bad, "rolled_back log/checkpoint: the log has 8 leaves") {
		t.Errorf("got %s", bad)
	}
	if _, err := l.Append([]byte("{}")); err == nil {
		t.Error("it is appended to as if nothing had happened")
	}
}

func TestAnotherKeysCheckpointProvesNothing(t *testing.T) {
	dir, _, _ := sample(t, 3)
	r, bad := checked(t, dir, &testKey(t).Public)
	if r.Proven != 0 || !strings.Contains(bad, "unsigned log/checkpoint") {
		t.Errorf("%d proven: %s", r.Proven, bad)
	}
}

// TestNoMutationIsMissed does something at random to a log's files, again and again: it is found, unless it changed nothing that was promised.
func TestNoMutationIsMissed(t *testing.T) {
	n, seed := 2000, rand.Uint64()
	if s := os.Getenv("EARSHOT_CASES"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("EARSHOT_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("EARSHOT_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir, k, _ := sample(t, 40)
	good := readAll(t, dir)
	names := []string{leavesName, leavesName, leavesName, hashesName, checkpointName}
	for i := range n {
		name := names[r.IntN(len(names))]
		b, how := mutate(r, good[name])
		if bytes.Equal(b, good[name]) {
			continue
		}
		lay(t, dir, map[string][]byte{name: b})
		if rep, bad := checked(t, dir, &k.Public); bad == "" {
			t.Fatalf("case %d: %s: %s is not found; %d proven", i, name, how, rep.Proven)
		}
		lay(t, dir, map[string][]byte{name: good[name]})
		if rep, bad := checked(t, dir, &k.Public); bad != "" || rep.Proven != 40 {
			t.Fatalf("case %d: a false alarm: %s", i, bad)
		}
	}
}

// mutate does something to a file.
func mutate(r *rand.Rand, b []byte) ([]byte, string) {
	b = bytes.Clone(b)
	i := r.IntN(len(b))
	j := i + r.IntN(len(b)-i) + 1
	switch r.IntN(5) {
	case 0:
		b[i] ^= 1 << r.IntN(8)
		return b, fmt.Sprintf("a bit of octet %d", i)
	case 1:
		return b[:i], fmt.Sprintf("cut at %d", i)
	case 2:
		return append(b[:i], b[j:]...), fmt.Sprintf("%d to %d taken out", i, j)
	case 3:
		return slices.Insert(b, i, b[i:j]...), fmt.Sprintf("%d to %d put in twice", i, j)
	default:
		piece := bytes.Clone(b[i:j])
		rest := append(b[:i], b[j:]...)
		at := r.IntN(len(rest) + 1)
		return slices.Insert(rest, at, piece...), fmt.Sprintf("%d to %d moved to %d", i, j, at)
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	dir, k, _ := sample(f, 3)
	b, err := os.ReadFile(filepath.Join(dir, checkpointName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("earshot\n3\nAAAA\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := OpenCheckpoint(text, &k.Public); err == nil && !bytes.Equal(text, b) && c.Size != 3 {
			t.Errorf("a checkpoint that nobody signed: %q", text)
		}
	})
}

func FuzzParseLeaf(f *testing.F) {
	f.Add([]byte(`{"v":1,"type":"recording","time":"2026-11-23T10:15:00Z","folder":"2026/11/23/x","manifest_sha256":"aa"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ParseLeaf(b); err == nil {
			if _, err := l.encode(); err != nil && len(b) < MaxLeafOctets/8 {
				t.Errorf("%q: %v", b, err)
			}
		}
	})
}

// TestEveryBitOfACheckpointCounts: also those that base64 leaves over.
func TestEveryBitOfACheckpointCounts(t *testing.T) {
	dir, k, _ := sample(t, 3)
	good := readAll(t, dir)[checkpointName]
	for i := range 8 * len(good) {
		b := bytes.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		if c, err := OpenCheckpoint(b, &k.Public); err == nil {
			t.Errorf("bit %d of octet %d (%q): %d leaves are believed", i%8, i/8, good[i/8], c.Size)
		}
	}
}
