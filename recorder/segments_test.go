package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"filippo.io/age"
)

// shelf is where a sealed file's segments go: a disk with so much room, -1 for all.
type shelf struct {
	dir  string
	room int64
	used int64
}

type plainFile struct{ *os.File }

func (f plainFile) Datasync() error { return f.Sync() }

type shelfFile struct {
	blockFile
	s *shelf
}

func (f shelfFile) WriteAt(b []byte, at int64) (int, error) {
	if f.s.room >= 0 && f.s.used+int64(len(b)) > f.s.room {
		n, err := f.blockFile.WriteAt(b[:max(0, f.s.room-f.s.used)], at)
		f.s.used += int64(n)
		return n, errors.Join(err, syscall.ENOSPC)
	}
	n, err := f.blockFile.WriteAt(b, at)
	f.s.used += int64(n)
	return n, err
}

func (s *shelf) create(name string) (blockFile, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return shelfFile{plainFile{f}, s}, err
}

// read decrypts and joins what is on the shelf.
func (s *shelf) read(t *testing.T, l wavLayout, id age.Identity) (all []byte) {
	t.Helper()
	for n := 1; ; n++ {
		f, err := os.Open(filepath.Join(s.dir, segmentName(l.format(), n)))
		if errors.Is(err, os.ErrNotExist) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := age.Decrypt(f, id)
		if err != nil {
			t.Fatalf("segment %d: %v", n, err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("segment %d: after %d octets: %v", n, len(b), err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
}

func newShelved(t *testing.T, format string, channels int) (*sealedFile, *shelf, *age.X25519Identity) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	on := &shelf{dir: t.TempDir(), room: -1}
	l := newLayout(format, channels)
	return &sealedFile{
		layout: l, to: id.Recipient(), waiting: 8 * rate * l.block(), create: on.create, putHead: func([]byte) error { return nil },
	}, on, id
}

// TestASealedFileHoldsWhatWasWritten writes at random, behind what is final, with a disk that is full now and then, and compares with octets in memory.
func TestASealedFileHoldsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			format := []string{FormatWAV, FormatMulaw}[seed%2]
			f, on, id := newShelved(t, format, 1+int(seed/2%2))
			block := f.layout.block()
			var model []byte
			length := func() int64 { return int64(len(model)) / block }
			refused := 0
			for range 400 {
				switch random.IntN(10) {
				case 0:
					on.room = on.used + random.Int64N(200_000)
				case 1, 2, 3:
					on.room = -1
				}
				from := max(f.final/block, length()-random.Int64N(2*rate))
				if format == FormatWAV { // a pause
					from += random.Int64N(10) / 9 * random.Int64N(50*rate)
				}
				b := make([]byte, random.Int64N(2*rate)*block)
				for i := range b {
					b[i] = byte(random.Uint32())
				}
				n, err := f.WriteAt(b, f.layout.dataAt+from*block)
				if err == nil && n == len(b) {
					if grow := from*block + int64(len(b)) - int64(len(model)); grow > 0 {
						model = append(model, make([]byte, grow)...)
					}
					copy(model[from*block:], b)
				} else if n != 0 || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, errFinal) {
					t.Fatalf("write of %d at %d: %d, %v", len(b), from, n, err)
				} else {
					refused++
				}
				if grow := f.size - int64(len(model)); grow > 0 { // a pause before what was refused
					model = append(model, make([]byte, grow)...)
				}
				if err := f.settled(length() - random.Int64N(3*rate)); err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Fatal(err)
				}
				checkBounds(t, f)
				checkOpenPart(t, f, model)
			}
			on.room = -1
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			got := on.read(t, f.layout, id)
			if len(model)&1 == 1 {
				model = append(model, 0)
			}
			if !bytes.Equal(got, model) {
				t.Errorf("%d octets come back, want the %d that were written", len(got), len(model))
			}
			t.Logf("%d octets, %d writes refused", len(model), refused)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkBounds holds a sealed file to its invariant, and to what it may keep in memory.
func checkBounds(t *testing.T, f *sealedFile) {
	t.Helper()
	if f.base > f.final || f.final > f.size {
		t.Fatalf("base %d, final %d, size %d: want them in this order", f.base, f.final, f.size)
	}
	if most := (openSeconds + 2) * rate * f.layout.block(); int64(len(f.tail)) > most || len(f.pending) > 2*chunkBytes {
		t.Fatalf("memory holds %d octets and %d of ciphertext, want %d and %d at most", len(f.tail), len(f.pending), most, 2*chunkBytes)
	}
}

// checkOpenPart reads back what can still change.
func checkOpenPart(t *testing.T, f *sealedFile, model []byte) {
	t.Helper()
	b := make([]byte, f.size-f.base)
	if err := readFull(f, b, f.layout.dataAt+f.base); err != nil {
		t.Fatal(err)
	}
	if want := model[f.base:]; !bytes.Equal(b, want[:min(len(b), len(want))]) {
		t.Fatal("what can still change reads back otherwise than it was written")
	}
}

func TestWhatIsFinalCanNotBeWrittenOver(t *testing.T) {
	f, _, _ := newShelved(t, FormatWAV, 1)
	if _, err := f.WriteAt(make([]byte, 2*4000), f.layout.dataAt); err != nil {
		t.Fatal(err)
	}
	if err := f.settled(2000); err != nil {
		t.Fatal(err)
	}
	if n, err := f.WriteAt(make([]byte, 4), f.layout.dataAt+2*1999); n != 0 || !errors.Is(err, errFinal) {
		t.Errorf("one sample too early: %d, %v, want it refused", n, err)
	}
	if n, err := f.WriteAt(make([]byte, 4), f.layout.dataAt+2*2000); n != 4 || err != nil {
		t.Errorf("behind what is final: %d, %v, want it taken", n, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestALongPauseCostsNoMemory(t *testing.T) {
	f, on, id := newShelved(t, FormatWAV, 1)
	word := []byte("earshot!")
	const hours = 1
	at := int64(hours) * 3600 * rate * 2
	for _, off := range []int64{0, at} {
		if err := f.Truncate(f.layout.dataAt + off); err != nil { // as an image makes room for a pause
			t.Fatal(err)
		}
		if _, err := f.WriteAt(word, f.layout.dataAt+off); err != nil {
			t.Fatal(err)
		}
		checkBounds(t, f)
	}
	if err := f.settled(at / 2); err != nil {
		t.Fatal(err)
	}
	if cap(f.tail) > keepBytes {
		t.Errorf("after the pause memory holds %d octets, want %d at most", cap(f.tail), keepBytes)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	got := on.read(t, f.layout, id)
	if int64(len(got)) != at+8 || !bytes.Equal(got[:8], word) || !bytes.Equal(got[at:], word) || len(bytes.Trim(got[8:at], "\x00")) != 0 {
		t.Errorf("%d octets come back, want a word, %d h of silence, a word", len(got), hours)
	}
}
