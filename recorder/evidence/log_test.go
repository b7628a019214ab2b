package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/earshot/earshot/internal/needs"
)

func testKey(t testing.TB) *Key {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func openLog(t testing.TB, dir string, k *Key) *Log {
	t.Helper()
	l, err := OpenLog(dir, k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // some tests close it themselves
	return l
}

func appendLeaves(t testing.TB, l *Log, from, n int) {
	t.Helper()
	for i := range n {
		if _, err := l.Append(fmt.Appendf(nil, `{"leaf":%d}`, from+i)); err != nil {
			t.Fatal(err)
		}
	}
}

// checked checks a log as it lies, and gives the findings as text.
func checked(t testing.TB, dir string, p *Public, kept ...*Checkpoint) (*LogReport, string) {
	t.Helper()
	r, err := CheckLog(filepath.Dir(dir), filepath.Base(dir), p, kept, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Kind, f.What, f.Text)
	}
	return r, b.String()
}

func TestWhatWasAppendedIsProven(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "log"), testKey(t)
	l := openLog(t, dir, k)
	for i := range 70 {
		if first, err := l.Append(fmt.Appendf(nil, `{"leaf":%d}`, i)); err != nil || first != int64(i) {
			t.Fatalf("leaf %d: got number %d, %v", i, first, err)
		}
		if r, bad := checked(t, dir, &k.Public); r.Proven != int64(i)+1 || bad != "" {
			t.Fatalf("after %d leaves: %d proven, %s", i+1, r.Proven, bad)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, dir, k)
	appendLeaves(t, l, 70, 5)
	if r, bad := checked(t, dir, &k.Public); r.Proven != 75 || bad != "" {
		t.Fatalf("after a restart: %d proven, %s", r.Proven, bad)
	}
}

func TestManyAppendAtOnceAlsoFromTwoProcesses(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "log"), testKey(t)
	logs := []*Log{openLog(t, dir, k), openLog(t, dir, k)} // two descriptors: to the file lock they are two processes
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if _, err := logs[i%2].Append(fmt.Appendf(nil, `{"leaf":%d}`, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if r, bad := checked(t, dir, &k.Public); r.Proven != 40 || bad != "" {
		t.Fatalf("%d proven, %s", r.Proven, bad)
	}
	b, err := os.ReadFile(filepath.Join(dir, leavesName))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if n := bytes.Count(b, fmt.Appendf(nil, "{\"leaf\":%d}\n", i)); n != 1 {
			t.Errorf("leaf %d is there %d times", i, n)
		}
	}
}

// TestACrashBetweenAnyTwoWritesLosesNoPromise cuts each file at each place where a crash may have left it.
func TestACrashBetweenAnyTwoWritesLosesNoPromise(t *testing.T) {
	k := testKey(t)
	base := filepath.Join(t.TempDir(), "log")
	l := openLog(t, base, k)
	appendLeaves(t, l, 0, 5)
	before := readAll(t, base)
	appendLeaves(t, l, 5, 1)
	after := readAll(t, base)
	next := after[checkpointName]
	longer := func(name string, n int) []byte { return after[name][:len(before[name])+n] }
	for hashes := 0; hashes <= len(after[hashesName])-len(before[hashesName]); hashes += 16 {
		crash(t, k, before, map[string][]byte{hashesName: longer(hashesName, hashes)}, 5)
	}
	whole := map[string][]byte{hashesName: after[hashesName]}
	for n := 0; n <= len(next); n += 20 {
		whole[nextName] = next[:n]
		crash(t, k, before, whole, 5)
	}
	whole[nextName] = next
	grown := len(after[leavesName]) - len(before[leavesName])
	for n := range grown {
		whole[leavesName] = longer(leavesName, n)
		crash(t, k, before, whole, 5)
	}
	whole[leavesName] = after[leavesName]
	crash(t, k, before, whole, 6) // it is all there but for the name: the checkpoint names it
	forged := append(bytes.Clone(before[leavesName]), []byte("{\"leaf\":\"x\"}\n")...)
	whole[leavesName] = forged[:len(after[leavesName])]
	crash(t, k, before, whole, 5) // not the leaf that was to be signed
}

// crash lays out a directory, opens it, appends, and checks.
func crash(t *testing.T, k *Key, files, changed map[string][]byte, want int64) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.MkdirAll(dir, dirMode); err != nil {
		t.Fatal(err)
	}
	lay(t, dir, files)
	lay(t, dir, changed)
	l, err := OpenLog(dir, k)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Checkpoint().Size != want {
		t.Errorf("opened with %d leaves, want %d", l.Checkpoint().Size, want)
	}
	if _, err := l.Append([]byte(`{"leaf":"after"}`)); err != nil {
		t.Fatal(err)
	}
	if r, bad := checked(t, dir, &k.Public); r.Proven != want+1 || bad != "" {
		t.Errorf("%d proven, want %d; %s", r.Proven, want+1, bad)
	}
}

func lay(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, fileMode); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = b
	}
	return out
}

func TestNothingIsSignedThatSomebodyPutIn(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "log"), testKey(t)
	l := openLog(t, dir, k)
	appendLeaves(t, l, 0, 3)
	f, err := os.OpenFile(filepath.Join(dir, leavesName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("{\"leaf\":\"forged\"}\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, bad := checked(t, dir, &k.Public); !strings.Contains(bad, "added log/leaves.jsonl:4") {
		t.Errorf("the line that was put in is not named: %s", bad)
	}
	appendLeaves(t, l, 3, 1)
	b, _ := os.ReadFile(filepath.Join(dir, leavesName))
	if r, bad := checked(t, dir, &k.Public); r.Proven != 4 || bad != "" || bytes.Contains(b, []byte("forged")) {
		t.Errorf("%d proven, %s; the leaves: %s", r.Proven, bad, b)
	}
}

func TestADamagedLogIsPutAsideAndNamed(t *testing.T) {
	root := t.TempDir()
	b, err := Open(root, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for i := range 3 {
		if err := b.Write(Leaf{Type: LeafRecording, Folder: fmt.Sprint("f", i), Manifest: "aa"}); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(root, DirName, LogName, leavesName)
	lines, _ := os.ReadFile(name)
	if err := os.WriteFile(name, lines[:len(lines)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Write(Leaf{Type: LeafRecording, Folder: "f3", Manifest: "aa"}); err != nil {
		t.Fatal(err)
	}
	var leaves []string
	_, err = CheckLog(root, DirName+"/"+LogName, b.Public(), nil, func(_ int64, leaf []byte) { leaves = append(leaves, string(leaf)) })
	if err != nil || len(leaves) != 2 || !strings.Contains(leaves[0], `"dir":"log-1"`) || !strings.Contains(leaves[1], `"f3"`) {
		t.Fatalf("the new log: %q, %v", leaves, err)
	}
	r, err := CheckLog(root, DirName+"/"+LogName+"-1", b.Public(), nil, nil)
	if err != nil || len(r.Findings) == 0 {
		t.Fatalf("the old log: %+v, %v", r, err)
	}
}

func TestALeafIsWrittenOnce(t *testing.T) {
	b, err := Open(t.TempDir(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	leaf := Leaf{Type: LeafRecording, Folder: "f", Manifest: "aa"}
	for range 3 {
		if err := b.Ensure(leaf); err != nil {
			t.Fatal(err)
		}
	}
	leaf.Manifest = "bb"
	if err := b.Ensure(leaf); err != nil {
		t.Fatal(err)
	}
	if n := b.Checkpoint().Size; n != 2 {
		t.Errorf("%d leaves, want 2", n)
	}
}

func TestOpensslAgreesWithOurSignatures(t *testing.T) {
	needs.Programs(t, "openssl")
	dir, k := t.TempDir(), testKey(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := k.Save(path("key.pem")); err != nil {
		t.Fatal(err)
	}
	text := []byte("what was recorded\n")
	lay(t, dir, map[string][]byte{"text": text, "sig": k.Sign(text)})
	run := func(name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := run("sh", "-c", "base64 -d sig >sig.bin"); err != nil {
		t.Fatal(err)
	}
	check := []string{"pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", "-rawin", "-in", "text", "-sigfile", "sig.bin"}
	if err := run("openssl", check...); err != nil {
		t.Error(err)
	}
	lay(t, dir, map[string][]byte{"text": []byte("what was not recorded\n")})
	if err := run("openssl", check...); err == nil {
		t.Error("openssl takes a signature of something else")
	}
	if err := run("openssl", "genpkey", "-algorithm", "ed25519", "-out", "other.pem"); err != nil {
		t.Fatal(err)
	}
	other, err := LoadKey(path("other.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if pub, err := LoadPublic(other.Public.String()); err != nil || pub.ID() != other.ID() {
		t.Errorf("the note form of a key: %v", err)
	}
}

func TestAKeyIsNeverPrinted(t *testing.T) {
	k := testKey(t)
	seed := fmt.Sprintf("%x", k.private.Seed())
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(form, k); strings.Contains(s, seed) || strings.Contains(s, fmt.Sprint(k.private.Seed()[:4])) {
			t.Errorf("%s prints the seed: %s", form, s)
		}
	}
	if _, err := LoadKey(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrNoKey) {
		t.Errorf("a missing key: %v", err)
	}
}
