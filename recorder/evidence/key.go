package evidence

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Origin is the name of earshot's logs and keys in checkpoints.
const Origin = "earshot"

const (
	keyMode = 0o600
	pubMode = 0o644
	dirMode = 0o700
	// maxKeyOctets bounds what is read as a key file.
	maxKeyOctets = 16 << 10

	pemPrivate = "PRIVATE KEY"
	pemPublic  = "PUBLIC KEY"
)

// Public is a key that signatures are checked with.
type Public struct {
	key      ed25519.PublicKey
	verifier note.Verifier
	others   []*Public // what they signed counts as well
}

// Key is a key that signs. It is never printed.
type Key struct {
	Public
	private ed25519.PrivateKey
	signer  note.Signer
}

// ErrNoKey is returned by LoadKey and LoadPublic where there is no file.
var ErrNoKey = errors.New("no key")

// NewKey makes a key.
func NewKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return newKey(private)
}

func newKey(private ed25519.PrivateKey) (*Key, error) {
	pub, err := newPublic(private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	// The notes' own form of a private key: the algorithm's number (1: Ed25519), then the seed.
	form := append([]byte{1}, private.Seed()...)
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", Origin, pub.verifier.KeyHash(), base64.StdEncoding.EncodeToString(form)))
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return &Key{Public: *pub, private: private, signer: signer}, nil
}

func newPublic(key ed25519.PublicKey) (*Public, error) {
	text, err := note.NewEd25519VerifierKey(Origin, key)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return &Public{key: key, verifier: v}, nil
}

// ID tells keys apart: the name and hash that stand in checkpoints.
func (p *Public) ID() string { return fmt.Sprintf("%s+%08x", Origin, p.verifier.KeyHash()) }

// String is the key in the form of signed notes (C2SP signed-note).
func (p *Public) String() string {
	return p.ID() + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, p.key...))
}

// LogValue and GoString keep the private half out of logs.
func (k *Key) String() string { return k.Public.String() }

// GoString implements fmt.GoStringer.
func (k *Key) GoString() string { return "evidence.Key(" + k.ID() + ")" }

// Sign gives the signature of a file's octets: what `openssl pkeyutl -verify -rawin` takes, in base64, one line.
func (k *Key) Sign(octets []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(nil, ed25519.Sign(k.private, octets)), '\n')
}

// With gives a key that takes what others signed as well.
func (p *Public) With(others ...*Public) *Public {
	q := *p
	q.others = append(slices.Clone(p.others), others...)
	return &q
}

func (p *Public) verifiers() []note.Verifier {
	list := []note.Verifier{p.verifier}
	for _, o := range p.others {
		if !slices.ContainsFunc(list, func(v note.Verifier) bool { return v.KeyHash() == o.verifier.KeyHash() }) {
			list = append(list, o.verifier)
		}
	}
	return list
}

// Same tells whether two keys are one.
func (p *Public) Same(o *Public) bool { return p.key.Equal(o.key) }

// Verify tells whether a signature that Sign made is that of the octets.
func (p *Public) Verify(octets, signature []byte) bool {
	line, ok := strings.CutSuffix(string(signature), "\n")
	sig, err := base64.StdEncoding.Strict().DecodeString(line)
	if !ok || strings.ContainsAny(line, "\r\n") || err != nil || len(sig) != ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(p.key, octets, sig) || slices.ContainsFunc(p.others, func(o *Public) bool { return ed25519.Verify(o.key, octets, sig) })
}

// LoadKey reads a private key; ErrNoKey: there is no such file.
func LoadKey(name string) (*Key, error) {
	b, err := readPEM(name, pemPrivate)
	if err != nil {
		return nil, err
	}
	any, err := x509.ParsePKCS8PrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	private, ok := any.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key %s: want an Ed25519 key, such as `openssl genpkey -algorithm ed25519` makes", name)
	}
	return newKey(private)
}

// LoadPublic reads a public key from a file, or takes it as it stands: PEM, or the form of signed notes. ErrNoKey: there is no such file.
func LoadPublic(nameOrKey string) (*Public, error) {
	if strings.HasPrefix(nameOrKey, Origin+"+") {
		return parseNoteKey(nameOrKey)
	}
	b, err := readPEM(nameOrKey, pemPublic)
	if err != nil {
		return nil, err
	}
	any, err := x509.ParsePKIXPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", nameOrKey, err)
	}
	key, ok := any.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key %s: want an Ed25519 key", nameOrKey)
	}
	return newPublic(key)
}

func parseNoteKey(text string) (*Public, error) {
	_, rest, _ := strings.Cut(text, "+")
	_, form, _ := strings.Cut(rest, "+")
	b, err := base64.StdEncoding.DecodeString(form)
	if err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != 1 {
		return nil, errors.New("key: want the form earshot+HASH+BASE64 of an Ed25519 key")
	}
	p, err := newPublic(ed25519.PublicKey(b[1:]))
	if err == nil && p.String() != text {
		err = errors.New("key: its hash is not that of its octets")
	}
	return p, err
}

func readPEM(name, kind string) ([]byte, error) {
	f, err := openPlain(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	defer f.Close()
	b := make([]byte, maxKeyOctets)
	n, err := f.Read(b)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	block, _ := pem.Decode(b[:n])
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("key %s: want a PEM block %q", name, kind)
	}
	return block.Bytes, nil
}

// Save writes the private key, and beside it the public one (.pub in place of .pem). It overwrites nothing.
func (k *Key) Save(name string) error {
	b, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), dirMode); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if err := writeNew(name, pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: b}), keyMode); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	return k.SavePublic(PublicName(name))
}

// PublicName is where the public half of a private key's file lies.
func PublicName(name string) string { return strings.TrimSuffix(name, ".pem") + ".pub" }

// SavePublic writes a public key for openssl; one that is there stays.
func (p *Public) SavePublic(name string) error {
	b, err := x509.MarshalPKIXPublicKey(p.key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	err = writeNew(name, pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: b}), pubMode)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key: %w", err)
	}
	return nil
}

// writeNew writes a file that is not there yet, durably, or not at all.
func writeNew(name string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Link(name+".tmp", name) // unlike a rename it leaves what is there
	}
	if e := os.Remove(name + ".tmp"); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return Through(nil).syncDir(filepath.Dir(name))
}
