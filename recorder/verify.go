package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/recorder/evidence"
)

// VerifyConfig says what to check against.
type VerifyConfig struct {
	// Key is the public key; required.
	Key *evidence.Public
	// Older are keys of before: what they signed counts where a log that was put aside names it.
	Older []*evidence.Public
	// Kept are checkpoints that were kept elsewhere.
	Kept []*evidence.Checkpoint
	// Only are the folders to look into, below the folder of recordings; empty: all, and that none is missing. Names are folders' names or calls' ids of which there
	// is nothing on the disk: the log knows whether they were erased, or are missing.
	Only, Names []string
	// Identities are the private halves of recipients: with them encrypted audio is decrypted and compared too.
	Identities []Identity
	// Vault, if not nil, is where audio is read, and compared with what was sealed, that was moved there. It is downloaded for that.
	Vault Fetcher
	// Progress is told how many recordings were looked at; nil: nobody.
	Progress func(recordings int)
}

// Verified is what Verify found.
type Verified struct {
	// Good recordings are as they were sealed, signed and named by the log; Live ones are being written.
	Good int `json:"good"`
	Live int `json:"live"`
	// Erased were erased on purpose, as the log says.
	Erased int `json:"erased"`
	// Erasures says who erased which, when and why.
	Erasures []Erasure `json:"erasures,omitempty"`
	// Erasing are erasures that were decided and are not finished here: the daemon does it at its next start at the latest.
	Erasing int `json:"erasing,omitempty"`
	// Moved, of the good ones, have their audio in the vault, as the log says; Read are those of which it was read there and is as it was sealed. Away names them.
	Moved int    `json:"moved"`
	Read  int    `json:"read_in_vault,omitempty"`
	Away  []Away `json:"away,omitempty"`
	// Unannounced, of the good ones, were finished after a crash, and the log does not say that they were begun: what is in them may be
	// somebody else's.
	Unannounced int `json:"unannounced"`
	// Leaves is how many the log has, and Proven up to which one it is proven that nothing was taken out, put in or changed.
	Leaves   int64              `json:"leaves"`
	Proven   int64              `json:"proven"`
	Findings []evidence.Finding `json:"findings"`
}

// known is what the log says of a folder.
type known struct {
	manifests []string // hex; more than one where sealing was cut short and done again
	erased    bool
	erasure   *Erasure
	call      string
	// transcript is what its newest leaf says of it; empty: there is none.
	transcript File
	moved      map[string]evidence.Elsewhere // by the hash of moved.json
	opened     time.Time                     // that it was begun; zero: it does not say
	// unannounced: its leaf says that it was finished, and that nothing says that it was begun.
	unannounced bool
}

type verifier struct {
	c   *Catalog
	cfg VerifyConfig
	out *Verified
	log map[string]known
	// holds are the matters of legal holds that the log names, by folder.
	holds map[string]map[string]bool
	// reread is the log as it was when we had looked at the disk; nil: nobody had to know.
	reread *verifier
	// unnamed are the manifests' hashes of folders that are signed and were not in the log when it was read; nil: nothing is to be noted there.
	unnamed map[string]string
	// unsaid are the moves of which the log had nothing when it was read.
	unsaid []unsaid
}

// Verify tells whether all recordings are as they were sealed. It only reads; what is wrong is in the result, the error is of reading. The log is held in memory: some 200
// octets for each recording.
func (c *Catalog) Verify(ctx context.Context, cfg VerifyConfig) (*Verified, error) {
	v := &verifier{c: c, cfg: cfg, out: &Verified{Findings: []evidence.Finding{}}, log: map[string]known{}, holds: map[string]map[string]bool{}, unnamed: map[string]string{}}
	if err := v.logs(); err != nil {
		return v.out, fmt.Errorf("verify: %w", err)
	}
	for _, folder := range cfg.Only {
		if err := v.folder(ctx, folder); err != nil {
			return v.out, fmt.Errorf("verify: %w", err)
		}
	}
	found := v.named()
	if len(cfg.Only)+len(cfg.Names) == 0 {
		if err := v.all(ctx); err != nil {
			return v.out, fmt.Errorf("verify: %w", err)
		}
		if err := v.missing(ctx); err != nil {
			return v.out, fmt.Errorf("verify: %w", err)
		}
		if err := v.holdsThere(); err != nil {
			return v.out, fmt.Errorf("verify: %w", err)
		}
	}
	v.out.Erased += found
	if err := v.late(); err != nil {
		return v.out, fmt.Errorf("verify: %w", err)
	}
	return v.out, nil
}

func (v *verifier) find(kind, what, format string, args ...any) {
	v.out.Findings = append(v.out.Findings, evidence.Finding{Kind: kind, What: what, Text: fmt.Sprintf(format, args...)})
}

// all looks into every folder of every day.
func (v *verifier) all(ctx context.Context) error {
	days, err := v.c.days()
	if err != nil {
		return err
	}
	for _, day := range days {
		names, err := dirNames(v.c.root, day)
		if err != nil {
			return err
		}
		slices.Sort(names)
		for _, name := range names {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := v.folder(ctx, path.Join(day, name)); err != nil {
				return err
			}
			if v.cfg.Progress != nil {
				v.cfg.Progress(v.out.Good)
			}
		}
	}
	return nil
}

// missing names what the log knows, and the disk does not.
func (v *verifier) missing(ctx context.Context) error {
	var gone []string
	for folder, k := range v.log {
		if k.erased {
			v.erased(k)
		} else if len(k.manifests) > 0 || !k.opened.IsZero() {
			gone = append(gone, folder)
		}
	}
	slices.Sort(gone)
	slices.SortFunc(v.out.Erasures, func(a, b Erasure) int { return strings.Compare(a.Folder, b.Folder) })
	for _, folder := range gone {
		if fi, err := v.c.root.Lstat(folder); err == nil && fi.IsDir() { // it got its name while its day was listed
			if err := v.folder(ctx, folder); err != nil {
				return err
			}
			continue
		}
		again, err := v.again()
		if err != nil {
			return err
		}
		if k := again.log[folder]; k.erased { // while we looked
			v.erased(k)
			continue
		}
		if k := v.log[folder]; len(k.manifests) == 0 {
			if _, err := v.c.root.Lstat(folder + partialSuffix); err != nil {
				v.find(evidence.Removed, folder, "the log says that this recording was begun at %s, and there is nothing of it", k.opened.UTC().Format(time.RFC3339))
			}
			continue
		}
		v.find(evidence.Removed, folder, "the log names this recording, and it is not there")
	}
	return nil
}

// folder checks one folder, and strikes it off the log's list.
func (v *verifier) folder(ctx context.Context, folder string) error {
	if final, live := strings.CutSuffix(folder, partialSuffix); live {
		return v.partial(ctx, folder, final)
	}
	if final, going := strings.CutSuffix(folder, erasingSuffix); going && v.log[final].erased {
		v.out.Erasing++ // cut short; that it was erased is counted with the log
		return nil
	}
	if _, err := v.c.root.Lstat(folder); errors.Is(err, fs.ErrNotExist) && len(v.cfg.Only) == 0 {
		return nil // it went while we looked: missing names it
	}
	k := v.log[folder]
	delete(v.log, folder)
	if v.going(folder, k) {
		return nil
	}
	before := len(v.out.Findings)
	if err := v.sealed(ctx, folder, k); err != nil {
		return err
	}
	if v.went(folder, k) {
		v.out.Findings = v.out.Findings[:before]
		return nil
	}
	if len(v.out.Findings) == before {
		v.out.Good++
		if k.unannounced {
			v.out.Unannounced++
		}
	}
	return nil
}

// partial looks at a folder that is being written, unless the log names it: then it is sealed but for its name, and must be what was signed.
func (v *verifier) partial(ctx context.Context, folder, final string) error {
	k, before := v.log[final], len(v.out.Findings)
	if len(k.manifests) == 0 && !k.erased {
		delete(v.log, final)
		v.out.Live++
		return nil
	}
	_, err := v.c.root.Lstat(final)
	beside := err == nil
	if beside {
		v.find(evidence.Added, folder, "it lies beside the recording that the log names")
	} else if err := v.sealed(ctx, folder, k); err != nil {
		return err
	}
	if _, err := v.c.root.Lstat(folder); errors.Is(err, fs.ErrNotExist) { // it got its name while we looked
		v.out.Findings = v.out.Findings[:before]
		return v.folder(ctx, final)
	}
	if !beside {
		delete(v.log, final)
	}
	if len(v.out.Findings) == before {
		v.out.Live++
	}
	return nil
}

// sealed checks a folder that has been sealed.
func (v *verifier) sealed(ctx context.Context, folder string, k known) error {
	fi, err := v.c.root.Lstat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // renamed while we looked: who called looks again
	case err != nil:
		v.find(evidence.Unreadable, folder, "%v", err)
		return nil
	case !fi.IsDir() && len(k.manifests) > 0:
		v.find(evidence.Removed, folder, "something else is in its place")
		return nil
	case !fi.IsDir():
		v.find(evidence.Added, folder, "it is no recording's folder")
		return nil
	case k.erased:
		v.find(evidence.Added, folder, "the log says that this recording was erased")
		return nil
	}
	m, err := v.manifest(folder, k)
	if err != nil || m == nil {
		return err
	}
	return v.files(ctx, folder, m, k)
}

// manifest checks recording.json and its signature. nil: nothing can be said of the other files.
func (v *verifier) manifest(folder string, k known) (*Manifest, error) {
	name := path.Join(folder, ManifestName)
	b, ok := v.read(name, maxManifestBytes)
	if !ok {
		return nil, nil
	}
	if b == nil {
		kind := evidence.Removed
		if len(k.manifests) == 0 {
			kind = evidence.Added
		}
		v.find(kind, name, "there is no manifest")
		return nil, nil
	}
	sum := sumOf(b)
	named := slices.Contains(k.manifests, sum)
	sig, ok := v.read(path.Join(folder, SignatureName), 1<<10)
	if !ok {
		return nil, nil
	}
	signed := sig != nil && v.anyKey().Verify(b, sig)
	switch {
	case signed && named:
	case named:
		v.find(evidence.Unsigned, path.Join(folder, SignatureName), "it is not this key's signature of recording.json, which is as the log names it")
	case len(k.manifests) > 0:
		v.find(evidence.Changed, name, "it is not the manifest that the log names")
	case signed && v.unnamed != nil: // it was sealed, maybe, after the log was read
		v.unnamed[folder] = sum
	case signed:
		v.find(evidence.Added, folder, "it is signed, and the log does not name it")
	default:
		v.find(evidence.Added, folder, "it is neither signed nor named by the log")
	}
	if !signed && !named {
		return nil, nil // what it says of the other files is nobody's word
	}
	m, err := ParseManifest(b)
	if err != nil {
		v.find(evidence.Changed, name, "%v", err)
		return nil, nil
	}
	return m, nil
}

// read gives a small file, nil where there is none. false: it can't be read, and that was found.
func (v *verifier) read(name string, most int64) ([]byte, bool) {
	f, err := v.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true
	}
	if err != nil {
		v.unreadable(name, err)
		return nil, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		v.unreadable(name, err)
		return nil, false
	}
	return append([]byte{}, b...), true
}

var errNotPlain = errors.New("it is no plain file")

// open opens a file, but nothing that would hold us up or lead elsewhere.
func (v *verifier) open(name string) (*os.File, error) {
	fi, err := v.c.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, errNotPlain
	}
	return openFile(v.c.root, name)
}

func (v *verifier) unreadable(name string, err error) {
	if errors.Is(err, errNotPlain) {
		v.find(evidence.Changed, name, "%v", err)
		return
	}
	v.find(evidence.Unreadable, name, "%v", err)
}
