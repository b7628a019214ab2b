package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errRefused = errors.New("connection refused")

// TestAnOutageOfDaysLosesAndDoublesNothing: five simulated days without a server, with a restart each day; then a real one.
func TestAnOutageOfDaysLosesAndDoublesNothing(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	var tries atomic.Int64
	away := func(http.RoundTripper) http.RoundTripper {
		return roundTrip(func(*http.Request) (*http.Response, error) {
			tries.Add(1)
			return nil, errRefused
		})
	}
	var folders []string
	synctest.Test(t, func(t *testing.T) {
		for day := range 5 {
			v := start(t, config(dir, g.addr).Through(away))
			for i := range 4 {
				f := recording(t, dir, day*24+i, 2000)
				folders = append(folders, f)
				if i > 0 { // of the first the crash came before the queue
					v.Sealed(recorder.Result{Dir: filepath.Join(dir, filepath.FromSlash(f))})
				}
			}
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			if s := v.Status(); s.Trouble != vault.CauseUnreachable || s.Queued < day*4+3 || s.Vaulted != 0 {
				t.Errorf("day %d: %+v", day, s)
			}
			v.stop()
			if n := len(v.told.failures()); n != 1 {
				t.Errorf("day %d: told %d times, want once", day, n)
			}
		}
	})
	if n := tries.Load(); n < 5*24*12/2 || n > 5*(24*60*2/5+40) {
		t.Errorf("the server was asked %d times in five days, want one every 2.5 to 5 minutes", n)
	}
	v := start(t, config(dir, g.addr).Quick(50*time.Millisecond, 5*time.Second))
	eventually(t, 60*time.Second, "all are in the vault", func() bool { return len(v.told.folders()) == len(folders) })
	v.stop()
	for _, f := range folders {
		if n := v.told.folders()[f]; n != 1 {
			t.Errorf("%s: vaulted %d times, want once", f, n)
		}
		g.whole(t, dir, f)
	}
}

// TestACutUploadGoesOnWhereItWas: the parts that the server has are not sent again, and nothing is there twice.
func TestACutUploadGoesOnWhereItWas(t *testing.T) {
	g := serve(t, true)
	p := newProxy(t, g.addr)
	dir := t.TempDir()
	const size = 17 << 20 // four parts of 5 MiB
	folder := recording(t, dir, 1, size)
	var sent atomic.Int64
	p.set(false, func(_ int64, b []byte) bool { return sent.Add(int64(len(b))) < 12<<20 })
	c := config(dir, p.addr).Quick(100*time.Millisecond, 10*time.Second)
	c.PartBytes, c.Lock, c.For, c.Workers = 5<<20, vault.LockCompliance, vault.Period{Years: 10}, 1
	v := start(t, c)
	eventually(t, 30*time.Second, "the line is cut", func() bool { return v.Status().Failures[vault.CauseUnreachable] > 0 })
	v.stop() // and the process ends, too
	p.set(false, nil)
	v = start(t, c)
	eventually(t, 60*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	s := v.Status()
	if s.ResumedPart < 2 || s.SentBytes > size-2*5<<20+1<<20 {
		t.Errorf("%d parts were there already, %d octets sent", s.ResumedPart, s.SentBytes)
	}
	g.whole(t, dir, folder)
	left, err := (&minio.Core{Client: g.client}).ListMultipartUploads(t.Context(), bucket, folder, "", "", "", 10)
	if err != nil || len(left.Uploads) != 0 {
		t.Errorf("uploads that are left: %v, %v", left.Uploads, err)
	}
}

// TestWhatIsFlippedOnTheWayIsNotTaken: the server refuses it by its hash, it is sent again, and no second version comes to be.
func TestWhatIsFlippedOnTheWayIsNotTaken(t *testing.T) {
	g := serve(t, false)
	p := newProxy(t, g.addr)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 3<<20)
	p.set(false, func(n int64, b []byte) bool {
		if n > 512<<10 { // in the audio, whatever is on the connection before
			b[len(b)/2] ^= 0x10
		}
		return true
	})
	v := start(t, config(dir, p.addr).Quick(100*time.Millisecond, 10*time.Second))
	eventually(t, 30*time.Second, "the server refuses it", func() bool { return v.Status().Failures[vault.CauseChecksum] > 1 })
	if n := len(g.versions(t, folder+"/"+recorder.AudioName)); n != 0 {
		t.Errorf("%d flipped objects in the vault", n)
	}
	p.set(false, nil)
	eventually(t, 30*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	g.whole(t, dir, folder)
}

// TestAServerThatHidesItsChecksumIsReadBack: then what it has is believed only after it was read; and what it spoils is found.
func TestAServerThatHidesItsChecksumIsReadBack(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 300_000)
	var spoil atomic.Bool
	spoil.Store(true)
	hide := func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Header.Del("X-Amz-Checksum-Sha256")
				if spoil.Load() && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, recorder.AudioName) {
					resp.Body = flipped{resp.Body}
				}
			}
			return resp, err
		})
	}
	v := start(t, config(dir, g.addr).Quick(100*time.Millisecond, 10*time.Second).Through(hide))
	eventually(t, 30*time.Second, "what was read back is other", func() bool { return v.Status().Failures[vault.CauseChecksum] > 0 })
	if len(v.told.folders()) != 0 {
		t.Fatal("vaulted, though it could not be made sure of")
	}
	spoil.Store(false)
	eventually(t, 30*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	if n := v.Status().ReadBytes; n < 300_000 {
		t.Errorf("%d octets read back, want all", n)
	}
}

type flipped struct {
	body interface {
		Read([]byte) (int, error)
		Close() error
	}
}

func (f flipped) Read(b []byte) (int, error) {
	n, err := f.body.Read(b)
	if n > 0 {
		b[0] ^= 1
	}
	return n, err
}
func (f flipped) Close() error { return f.body.Close() }

// TestAServerThatCrawlsHoldsOneWorker: the other one brings what waits.
func TestAServerThatCrawlsHoldsOneWorker(t *testing.T) {
	g := serve(t, false)
	p := newProxy(t, g.addr)
	dir := t.TempDir()
	large := recording(t, dir, 0, 12<<20)
	var small []string
	for i := range 5 {
		small = append(small, recording(t, dir, i+1, 1000))
	}
	p.set(false, crawl(t))
	c := config(dir, p.addr).Quick(100*time.Millisecond, time.Minute)
	c.Workers = 2
	v := start(t, c)
	eventually(t, 30*time.Second, "the small ones are in the vault", func() bool { return len(v.told.folders()) == len(small) })
	if n := v.Status().Failures[vault.CauseUnreachable]; v.told.folders()[large] != 0 || n != 0 {
		t.Fatalf("the large one is not under way: %v, %d failures", v.told.folders(), n)
	}
	p.set(false, nil)
	eventually(t, 60*time.Second, "the large one is in the vault", func() bool { return v.told.folders()[large] == 1 })
	for _, f := range append(small, large) {
		g.whole(t, dir, f)
	}
}

// TestALineThatIsSlowOnPurposeIsNoTrouble: the bandwidth is kept to, and an upload that takes longer than any pause may is not given up.
func TestALineThatIsSlowOnPurposeIsNoTrouble(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 1<<20)
	c := config(dir, g.addr).Quick(50*time.Millisecond, 200*time.Millisecond)
	c.BytesPerSecond = 1 << 20
	began := time.Now()
	v := start(t, c)
	eventually(t, 30*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("1 MiB at 1 MiB a second took %v", took)
	}
	for cause, n := range v.Status().Failures {
		if n != 0 {
			t.Errorf("%d failures: %s", n, cause)
		}
	}
}

// TestAServerThatHangsIsGivenUp: it takes the request and never answers.
func TestAServerThatHangsIsGivenUp(t *testing.T) {
	g := serve(t, false)
	p := newProxy(t, g.addr)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 1000)
	p.set(false, func(int64, []byte) bool {
		<-t.Context().Done()
		return false
	})
	v := start(t, config(dir, p.addr).Quick(50*time.Millisecond, 300*time.Millisecond))
	eventually(t, 30*time.Second, "it is given up", func() bool { return v.Status().Failures[vault.CauseUnreachable] > 1 })
	if v.told.folders()[folder] != 0 {
		t.Error("vaulted by a server that hangs")
	}
}

// TestWhatAPersonMustSeeToIsToldOnceWithWhatToDo.
func TestWhatAPersonMustSeeToIsToldOnceWithWhatToDo(t *testing.T) {
	g := serve(t, false)
	for _, c := range []struct {
		cause  vault.Cause
		hint   string
		change func(*vault.Config)
	}{
		{vault.CauseBucket, "make the bucket", func(c *vault.Config) { c.Bucket = "not-there" }},
		{vault.CauseDenied, "vault.secret_key", func(c *vault.Config) { c.SecretKey = "not-" + secretKey }},
		{vault.CauseDenied, "vault.access_key", func(c *vault.Config) { c.AccessKey = "nobody" }},
		{vault.CauseLock, "Object Lock", func(c *vault.Config) { c.Lock, c.For = vault.LockCompliance, vault.Period{Years: 10} }},
	} {
		t.Run(string(c.cause), func(t *testing.T) {
			dir := t.TempDir()
			for i := range 3 {
				recording(t, dir, i, 1000)
			}
			cfg := config(dir, g.addr).Quick(10*time.Millisecond, 5*time.Second)
			c.change(&cfg)
			v := start(t, cfg)
			eventually(t, 10*time.Second, "it failed often", func() bool { return v.Status().Failures[c.cause] > 4 })
			s := v.Status()
			v.stop()
			if s.Trouble != c.cause || s.Vaulted != 0 || s.Queued != 3 || !strings.Contains(s.Hint, c.hint) {
				t.Errorf("status: %+v", s)
			}
			if f := v.told.failures(); len(f) != 1 || f[0].Cause != c.cause || f[0].Folder != "" {
				t.Errorf("told: %+v, want once", f)
			}
			if n := strings.Count(v.told.text(), "level=ERROR"); n != 1 {
				t.Errorf("%d errors in the log, want 1:\n%s", n, v.told.text())
			}
		})
	}
}

// TestALocalFileThatIsNotAsSealedStaysOutOfTheVault, and holds up no other.
func TestALocalFileThatIsNotAsSealedStaysOutOfTheVault(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	bad, good := recording(t, dir, 0, 1000), recording(t, dir, 1, 1000)
	if err := os.WriteFile(filepath.Join(dir, bad, recorder.AudioName), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	v := start(t, config(dir, g.addr).Quick(20*time.Millisecond, 5*time.Second))
	eventually(t, 30*time.Second, "the other is in the vault", func() bool { return v.told.folders()[good] == 1 })
	eventually(t, 30*time.Second, "it was tried again", func() bool { return v.Status().Failures[vault.CauseLocal] > 2 })
	if f := v.told.failures(); len(f) != 1 || f[0].Folder != bad || f[0].Cause != vault.CauseLocal || f[0].Call != "call-0" {
		t.Errorf("told: %+v", f)
	}
	if n := len(g.versions(t, bad)); n != 0 {
		t.Errorf("%d objects of it in the vault", n)
	}
}

// TestTwoProcessesBringEachRecordingOnce: during a take-over both look through the same folders.
func TestTwoProcessesBringEachRecordingOnce(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	var folders []string
	for i := range 10 {
		folders = append(folders, recording(t, dir, i, 50_000))
	}
	c := config(dir, g.addr).Quick(20*time.Millisecond, 5*time.Second)
	c.BytesPerSecond = 1 << 20 // half a second for all
	older := start(t, c)
	eventually(t, 30*time.Second, "the older has the queue", func() bool { return older.Status().SentBytes > 0 })
	newer := start(t, c)
	late := recording(t, dir, 20, 1000)
	for _, v := range []*running{older, newer} {
		v.Sealed(recorder.Result{Dir: filepath.Join(dir, filepath.FromSlash(late))})
	}
	folders = append(folders, late)
	eventually(t, 60*time.Second, "all are in the vault", func() bool {
		by, also := older.told.folders(), newer.told.folders() // whoever of them; twice of what one had brought when the other heard that it was sealed
		return !slices.ContainsFunc(folders, func(f string) bool { return by[f]+also[f] == 0 })
	})
	older.stop()
	last := recording(t, dir, 21, 1000)
	newer.Sealed(recorder.Result{Dir: filepath.Join(dir, filepath.FromSlash(last))})
	eventually(t, 30*time.Second, "the newer goes on", func() bool { return newer.told.folders()[last] == 1 })
	for _, f := range append(folders, last) {
		g.whole(t, dir, f)
	}
}

func ExampleParsePeriod() {
	p, err := vault.ParsePeriod("5y")
	fmt.Println(p.After(time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)).Format(time.DateOnly), err)
	// Output: 2031-11-23 <nil>
}
